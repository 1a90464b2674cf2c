package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// Keys are the keys that URLs of an account's mailboxes are signed with (RFC 4467, section 2.2).
// index/mailstore says what the methods promise.
type Keys interface {
	URLKey(ctx context.Context, mailbox string) ([]byte, error)
	MakeURLKey(ctx context.Context, mailbox string) ([]byte, error)
	ResetURLKey(ctx context.Context, mailbox string) (index.Mailbox, error)
	DropURLKeys(ctx context.Context) error
}

// internal is the one way of signing: the server's own (RFC 4467, section 2.4.1).
const internal = "INTERNAL"

// codeURLMech tells that URLs of a mailbox can be signed (RFC 4467, section 8).
const codeURLMech = "URLMECH " + internal

// hmacSHA256 is the first octet of a token whose others are the HMAC-SHA-256 of it and the rump. Another way of
// making tokens gets another octet.
const hmacSHA256 = 1

// urlToken signs a URL up to who may use it.
func urlToken(key []byte, rump string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte{hmacSHA256}) // a Hash gives no errors
	mac.Write([]byte(rump))
	return mac.Sum([]byte{hmacSHA256})
}

// signedWith reports whether a URL's token is of a key. Without a key none is.
func signedWith(key []byte, u *wire.URL) bool {
	token, err := hex.DecodeString(u.Token)
	return err == nil && len(key) > 0 && hmac.Equal(token, urlToken(key, u.Rump))
}

// unsignable says why a URL cannot be signed whatever the state of the mail; the client is told BAD
// (RFC 4467, section 7).
type unsignable string

func (e unsignable) Error() string { return string(e) }

// genURLAuth is GENURLAUTH (RFC 4467, section 7): all URLs are signed, or none is told. Whether those who may
// use them have accounts is not looked at, so that nobody finds out by it.
func (s *Session) genURLAuth(ctx context.Context, cmd *wire.Command) (reply, error) {
	rumps := cmd.Args.(*wire.GenURLAuth).Rumps
	signed := make([]string, 0, len(rumps))
	for _, r := range rumps {
		if r.Mechanism != internal {
			return reply{}, errMechanism
		}
		text, err := s.signURL(ctx, r.URL)
		if wrong, ok := errors.AsType[unsignable](err); ok {
			return bad(wrong.Error()), nil
		}
		if err != nil {
			return reply{}, err
		}
		signed = append(signed, text)
	}
	s.w.Raw("* GENURLAUTH")
	for _, text := range signed {
		s.w.Byte(' ')
		s.w.String([]byte(text))
	}
	s.w.CRLF()
	return reply{}, nil
}

// signURL signs a URL of the user's own mail.
func (s *Session) signURL(ctx context.Context, text string) (string, error) {
	u, err := wire.ParseURL(text)
	switch {
	case err != nil:
		return "", unsignable(wire.ErrURL.Error())
	case u.Access == "":
		return "", unsignable("the URL lacks who may use it")
	case u.Mechanism != "":
		return "", unsignable("the URL is signed already")
	case !u.Absolute || !equalFold(u.User, s.who.Address) || !s.c.Site.Local(u.Host):
		return "", unsignable("the URL has to name you and this server")
	}
	p, err := s.need(ctx, u.Mailbox, index.RightLookup)
	if err == nil && p.shared {
		err = errSharedKey
	}
	var key []byte
	if err == nil {
		key, err = s.account.MakeURLKey(ctx, p.name)
	}
	if errors.Is(err, index.ErrNoMailbox) {
		err = unsignable("no such mailbox")
	}
	if err != nil {
		return "", err
	}
	signed := u.Rump + ":" + strings.ToLower(internal) + ":" + hex.EncodeToString(urlToken(key, u.Rump))
	if _, err := wire.ParseURL(signed); err != nil {
		return "", unsignable("the URL is too long to be signed")
	}
	return signed, nil
}

// urlFetch is URLFETCH (RFC 4467, section 7).
func (s *Session) urlFetch(ctx context.Context, cmd *wire.Command) (reply, error) {
	for _, text := range cmd.Args.(*wire.URLFetch).URLs {
		if err := s.tellURL(ctx, text); err != nil {
			return reply{}, err
		}
	}
	return reply{}, nil
}

// tellURL writes what a URL leads to, NIL where that is nothing, for whatever reason.
func (s *Session) tellURL(ctx context.Context, text string) (err error) {
	part, err := s.openSigned(ctx, text)
	nothing := err != nil && isNothing(err)
	if err != nil && !nothing {
		return err
	}
	s.w.Raw("* URLFETCH ")
	s.w.String([]byte(text))
	if nothing {
		s.w.Raw(" NIL\r\n")
		return nil
	}
	defer func() { err = errors.Join(err, part.Close()) }()
	s.w.Byte(' ')
	s.w.LiteralHead(part.Size(), false)
	if err := s.w.Copy(part, part.Size()); err != nil {
		return err
	}
	s.w.CRLF()
	return nil
}

// openSigned opens what a signed URL names in the mail of the account that it names, as that account may read
// it (RFC 4467, section 6).
func (s *Session) openSigned(ctx context.Context, text string) (*urlPart, error) {
	u, err := wire.ParseURL(text)
	switch {
	case err != nil:
		return nil, err
	case !u.Absolute || !s.c.Site.Local(u.Host):
		return nil, errURLUser
	case u.Mechanism != internal, !u.Expire.IsZero() && !s.c.Now().Before(u.Expire):
		return nil, errURLAuth
	}
	if err := s.mayUse(u.Access); err != nil {
		return nil, err
	}
	owner, err := s.ownerOf(ctx, u.User)
	if err != nil {
		return nil, err
	}
	key, err := owner.URLKey(ctx, u.Mailbox)
	if err == nil && !signedWith(key, &u) {
		err = errURLAuth
	}
	var part *urlPart
	if err == nil {
		part, err = openPart(ctx, owner, &u)
	}
	return part, err
}

// mayUse is errURLAuth where a URL is for others than the session's user (RFC 4467, section 3). Nobody is
// anonymous here.
func (s *Session) mayUse(access string) (err error) {
	may := true
	switch kind, user, _ := strings.Cut(access, "+"); kind {
	case "user":
		may = equalFold(user, s.who.Address)
	case "submit": // who hands messages in for others is trusted as administrators are
		may, err = s.c.Site.Administrator(s.who.Account)
	}
	if err == nil && !may {
		err = errURLAuth
	}
	return err
}

// ownerOf is the mail of an account that may log in, or index.ErrNoAccount.
func (s *Session) ownerOf(ctx context.Context, address string) (Account, error) {
	if equalFold(address, s.who.Address) {
		return s.account, nil
	}
	id, err := s.peer.Others.Reader(ctx, address)
	if err != nil {
		return nil, err
	}
	return s.peer.Others.Account(id), nil
}

// resetKey is RESETKEY (RFC 4467, section 7): what was signed before counts no more.
func (s *Session) resetKey(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.ResetKey)
	if a.All {
		return ok("", "all keys are gone"), s.account.DropURLKeys(ctx)
	}
	for _, m := range a.Mechanisms {
		if m != internal {
			return reply{}, errMechanism
		}
	}
	p, err := s.need(ctx, a.Mailbox, index.RightLookup)
	if err == nil && p.shared {
		err = errSharedKey
	}
	if err != nil {
		return reply{}, err
	}
	m, err := s.account.ResetURLKey(ctx, p.name)
	if err != nil {
		return reply{}, err
	}
	if s.isSelected(&m) {
		s.keyResets = m.KeyResets // it is told now
	}
	return ok(codeURLMech, "URLs are signed with another key from now on"), nil
}

// tellURLMech tells that URLs of the selected mailbox are signed with another key (RFC 4467, section 7).
func (s *Session) tellURLMech(m index.Mailbox) {
	if m.KeyResets == s.keyResets {
		return
	}
	s.keyResets = m.KeyResets
	if s.signs() {
		s.w.StatusLine("*", wire.OK, codeURLMech, "URLs that were signed before count no more")
	}
}

// signs reports whether URLs of the selected mailbox can be signed.
func (s *Session) signs() bool { return s.peer.Others != nil && !s.at.shared }

// amongOthers reports whether a command is known only where accounts may let others in.
func amongOthers(cmd *wire.Command) bool {
	switch cmd.Args.(type) {
	case *wire.ACL, *wire.GenURLAuth, *wire.URLFetch, *wire.ResetKey:
		return true
	}
	return false
}
