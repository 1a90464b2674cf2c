package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// recipients answers the SMTP door from this node's copy of the directory.
type recipients struct{ n *Node }

var _ smtpd.Directory = recipients{}

// Resolve says whom an address stands for.
func (r recipients) Resolve(_ context.Context, address string) (out smtpd.Recipient, err error) {
	err = r.n.view(func(v directory.View) error {
		found, err := v.Resolve(address)
		for _, t := range found.Accounts {
			out.Accounts = append(out.Accounts, smtpd.Account{ID: t.Account.ID, Disabled: t.Account.Disabled})
		}
		out.Remote = found.Remote
		return err
	})
	return out, err
}

// smtpLogin puts the cluster's logins behind the SMTP door.
type smtpLogin struct {
	*login.Authenticator
	certificate func() *x509.Certificate
}

var _ smtpd.Authenticator = smtpLogin{}

// Begin starts an exchange; its errors are replies.
func (l smtpLogin) Begin(mechanism string, state *tls.ConnectionState, remote netip.Addr) (smtpd.AuthExchange, error) {
	x, err := l.Server(mechanism, login.Conn{TLS: state, Remote: remote, Certificate: l.certificate()})
	if err != nil {
		return nil, authReply(err)
	}
	return smtpExchange{x}, nil
}

type smtpExchange struct{ x *login.Exchange }

// Next takes a response and gives a challenge.
func (e smtpExchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = e.x.Next(response)
	if err != nil {
		err = authReply(err)
	}
	return challenge, done, err
}

// Identity is who it was.
func (e smtpExchange) Identity() (index.AccountID, string) {
	id := e.x.Identity()
	return id.Account, id.Address
}

// authReply is the SMTP reply to an error of a login (RFC 4954, section 6).
func authReply(err error) error {
	for _, row := range []struct {
		err   error
		reply *mta.Reply
	}{
		{login.ErrBadCredentials, mta.Replyf(535, mta.BadCredentials, "Wrong user name or password")},
		{login.ErrAuthorization, mta.Replyf(535, mta.BadCredentials, "Acting as another user is not allowed")},
		{login.ErrChannelBinding, mta.Replyf(535, mta.BadCredentials, "The channel binding does not fit this connection")},
		{login.ErrDisabled, mta.Replyf(535, mta.AccountDisabled, "This account is disabled")},
		{login.ErrThrottled, mta.Replyf(454, mta.TempSecurity, "Too many logins, try again later")},
		{login.ErrMechanism, mta.Replyf(504, mta.BadMechanism, "Mechanism not offered")},
		{login.ErrEncryption, mta.Replyf(538, mta.TLSRequired, "Only inside of TLS: STARTTLS first")},
		{login.ErrMalformed, mta.Replyf(501, mta.BadSyntax, "Not a response of this mechanism")},
	} {
		if errors.Is(err, row.err) {
			return row.reply
		}
	}
	return mta.Replyf(454, mta.TempSystem, "Logins cannot be checked now, try again later")
}
