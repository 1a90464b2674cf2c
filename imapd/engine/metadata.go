package engine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// entrySpecialUse is what a mailbox is for (RFC 6154, section 4): told of the mailbox, not stored.
const entrySpecialUse = "/private/specialuse"

const (
	sharedEntries  = "/shared/"
	privateEntries = "/private/"
)

// annotated is the mailbox of a name whose annotations are asked for; an empty name is the server. Of another's,
// the user needs l and any of r, s, w, i and p (RFC 5464, section 4).
func (s *Session) annotated(ctx context.Context, name string) (place, error) {
	p, err := s.place(ctx, name)
	const useful = index.RightRead | index.RightSeen | index.RightWrite | index.RightInsert | index.RightPost
	switch {
	case err != nil || !p.shared:
		return p, err
	case !p.rights.Has(index.RightLookup):
		return p, index.ErrNoMailbox
	case p.rights&useful == 0:
		return p, errNoPerm
	}
	return p, nil
}

// annotations gives what the user sees of a mailbox's annotations, or with an empty name of the server's:
// the shared ones are the cluster's, the private ones the account's. Of another's mailbox it is the shared ones.
func (s *Session) annotations(ctx context.Context, name string) ([]index.Annotation, error) {
	p, err := s.annotated(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err := p.account.Metadata(ctx, s.who.Account, p.name)
	if err != nil || p.shared {
		return all, err
	}
	if name == "" {
		shared, err := s.c.Site.ServerMetadata(ctx)
		return append(slices.Clip(shared), all...), err
	}
	m, err := s.account.Mailbox(ctx, name)
	if err != nil {
		return nil, err
	}
	if uses := attributesOf(m.SpecialUse); len(uses) > 0 {
		all = append(all, index.Annotation{Entry: entrySpecialUse, Value: []byte(strings.Join(uses, " "))})
	}
	return all, nil
}

func attributesOf(use index.SpecialUse) []string {
	var names []string
	for _, u := range specialUses() {
		if use&u.bit != 0 {
			names = append(names, u.name)
		}
	}
	return names
}

// getMetadata is GETMETADATA (RFC 5464, section 4.2).
func (s *Session) getMetadata(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.GetMetadata)
	all, err := s.annotations(ctx, a.Mailbox)
	if err != nil {
		return reply{}, err
	}
	var told []index.Annotation
	longest := 0
	for _, is := range chosen(all, a.Entries, a.Depth) {
		if a.MaxSize != nil && uint64(len(is.Value)) > *a.MaxSize {
			longest = max(longest, len(is.Value))
			continue
		}
		told = append(told, is)
	}
	s.tellMetadata(a.Mailbox, told)
	if longest > 0 {
		return ok("METADATA LONGENTRIES "+strconv.Itoa(longest), "GETMETADATA completed"), nil
	}
	return reply{}, nil
}

// chosen gives the annotations that are asked for, in that order and each once. An entry that is not there
// is told with NIL where nothing but it is asked for.
func chosen(all []index.Annotation, entries []string, depth int) (out []index.Annotation) {
	seen := make(map[string]bool)
	for _, asked := range entries {
		found := false
		for _, is := range all {
			if !within(is.Entry, asked, depth) {
				continue
			}
			found = true
			if !seen[is.Entry] {
				seen[is.Entry] = true
				out = append(out, is)
			}
		}
		if !found && depth == 0 && !seen[asked] {
			seen[asked] = true
			out = append(out, index.Annotation{Entry: asked})
		}
	}
	return out
}

// within reports whether an entry is another or at most depth levels below it.
func within(entry, asked string, depth int) bool {
	rest, below := strings.CutPrefix(entry, asked)
	return below && (rest == "" || rest[0] == '/' && strings.Count(rest, "/") <= depth)
}

// tellMetadata writes a METADATA response with values (RFC 5464, section 4.4.1), unless there are none.
func (s *Session) tellMetadata(name string, all []index.Annotation) {
	if len(all) == 0 {
		return
	}
	s.w.Raw("* METADATA ")
	s.w.MailboxName(name)
	for i, is := range all {
		s.w.Raw([]string{" (", " "}[min(i, 1)])
		s.w.Entry(is.Entry)
		s.w.Byte(' ')
		s.w.Value(is.Value)
	}
	s.w.Raw(")\r\n")
}

// setMetadata is SETMETADATA (RFC 5464, section 4.3): all of it or none.
func (s *Session) setMetadata(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.SetMetadata)
	p, err := s.annotated(ctx, a.Mailbox)
	if err != nil {
		return reply{}, err
	}
	change := access.MetadataChange{Mailbox: p.name, User: s.who.Account}
	shared, seen := 0, make(map[string]bool)
	for _, e := range a.Entries {
		switch {
		case strings.Count(e.Entry, "/") < 2 || seen[e.Entry]:
			return bad("an entry that cannot be set, or one twice"), nil
		case len(e.Value) > mailbox.MaxAnnotation:
			return reply{kind: wire.NO, code: codeMetadataSize(), text: "a value is too large"}, nil
		}
		seen[e.Entry] = true
		if err := p.mayAnnotate(e.Entry); err != nil {
			return reply{}, err
		}
		if e.Entry == entrySpecialUse && a.Mailbox != "" {
			use, err := parseUses(strings.Fields(string(e.Value)))
			if err != nil {
				return reply{}, err
			}
			change.SpecialUse = &use
			continue
		}
		if strings.HasPrefix(e.Entry, sharedEntries) {
			shared++
		}
		change.Entries = append(change.Entries, index.Annotation{Entry: e.Entry, Value: e.Value})
	}
	if a.Mailbox == "" && shared > 0 {
		return reply{}, s.setServerMetadata(ctx, change.Entries, shared)
	}
	at, err := p.account.SetMetadata(ctx, change)
	if err != nil || p.shared {
		return reply{}, err
	}
	return reply{}, s.heardOwn(ctx, change, at)
}

// mayAnnotate refuses entries of another's mailbox that the user may not set. Private ones would be kept on the
// owner's account, where the owner sees nothing of them.
func (p *place) mayAnnotate(entry string) error {
	switch {
	case !p.shared:
		return nil
	case !strings.HasPrefix(entry, sharedEntries):
		return errNoPrivate
	case !p.rights.Has(index.RightWrite):
		return errNoPerm
	}
	return nil
}

// codeMetadataSize says how large a value may be.
func codeMetadataSize() string { return "METADATA MAXSIZE " + strconv.Itoa(mailbox.MaxAnnotation) }

// setServerMetadata changes what all see of the server, which only administrators may. What is private is
// kept elsewhere, so that both cannot be changed in one step.
func (s *Session) setServerMetadata(ctx context.Context, changes []index.Annotation, shared int) error {
	admin, err := s.c.Site.Administrator(s.who.Account)
	switch {
	case err != nil:
		return err
	case !admin:
		return errNoPermission
	case shared < len(changes):
		return errMixedMetadata
	}
	if err := s.c.Site.SetServerMetadata(ctx, changes); err != nil {
		return err
	}
	return s.heardServer(ctx)
}

// listMetadata tells of a mailbox what LIST was asked for (RFC 9590, section 3). It may be gone already, and of
// another's there is nothing to tell where the user may not know.
func (s *Session) listMetadata(ctx context.Context, name string, entries []string) error {
	all, err := s.annotations(ctx, name)
	if errors.Is(err, index.ErrNoMailbox) || errors.Is(err, errNoPerm) {
		return nil
	}
	if err != nil {
		return err
	}
	s.tellMetadata(name, chosen(all, entries, 0))
	return nil
}
