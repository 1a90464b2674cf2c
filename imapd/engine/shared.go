package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// may reports whether the user has rights on the selected mailbox.
func (s *Session) may(want index.Rights) bool { return !s.at.shared || s.at.rights.Has(want) }

// changing are the rights by which a selected mailbox is READ-WRITE (RFC 4314, section 5.2).
const changing = index.RightInsert | index.RightExpunge | index.RightSeen | index.RightWrite | index.RightDeleteMessages

// attend has changes of a selected mailbox of another be heard of. deselect ends it.
func (s *Session) attend(p place) {
	s.at = p
	if p.shared {
		s.changedThere, s.leaveThere = p.account.Watch()
	}
}

// news is what the session waits on for changes of the selected mailbox.
func (s *Session) news() <-chan struct{} {
	if s.at.shared {
		return s.changedThere
	}
	return s.changed
}

// catchUp has what is read of another's mail show what the user may have seen on another node, once after
// the login, as is done for one's own: mail clients throw away what a mailbox that goes back in time does not have.
func (s *Session) catchUp(ctx context.Context, owner index.AccountID) {
	if s.caughtUp[owner] {
		return
	}
	s.peer.Others.CatchUp(ctx, owner)
	if s.caughtUp == nil {
		s.caughtUp = map[index.AccountID]bool{}
	}
	s.caughtUp[owner] = true
}

// recheckFor is recheck before a command. Who may not read any more may leave, and a mailbox that is out of reach keeps
// nobody from what can be done without it.
func (s *Session) recheckFor(ctx context.Context, cmd *wire.Command, c command) error {
	if cmd.Name == "LOGOUT" {
		return nil
	}
	err := s.recheck(ctx)
	if errors.Is(err, cluster.ErrUnavailable) && (c.in&authenticated != 0 || cmd.Name == "UNSELECT") {
		return nil
	}
	return err
}

// recheck looks at the rights on the selected mailbox again. Who may not read it any more is sent away,
// and what changed of the flags that can be kept is told (RFC 4314, section 5.1.1).
func (s *Session) recheck(ctx context.Context) error {
	if s.box == nil || !s.at.shared {
		return nil
	}
	grants, err := s.box.ACL(ctx)
	if errors.Is(err, index.ErrNoAccount) {
		return fmt.Errorf("%w with its account: %w", index.ErrGone, err)
	}
	if err != nil {
		return err
	}
	rights := index.RightsOf(grants, s.who.Account)
	if !rights.Has(index.RightRead) {
		return errRevoked
	}
	if before := s.at.rights; before != rights {
		s.at.rights = rights
		if (before^rights)&changing != 0 {
			s.permanentFlags(s.box.Info().Keywords)
		}
	}
	return nil
}

// permanentFlags tells which flags the user can change for good.
func (s *Session) permanentFlags(keywords []string) {
	s.w.Raw("* OK [PERMANENTFLAGS ")
	switch {
	case s.readOnly:
		s.w.Flags(nil)
	case s.at.shared:
		s.w.Flags(s.permitted(keywords))
	default:
		s.w.Flags(append(append(systemFlags(), keywords...), `\*`))
	}
	s.w.Raw("] flags that are kept\r\n")
}

// permitted are the flags that the user may change in another's mailbox.
func (s *Session) permitted(keywords []string) []string {
	var out []string
	for _, f := range systemFlags() {
		if s.mayFlag()&systemFlag(f) != 0 {
			out = append(out, f)
		}
	}
	if s.may(index.RightWrite) {
		out = append(append(out, keywords...), `\*`)
	}
	return out
}

// mayFlag are the system flags that the user may change in the selected mailbox.
func (s *Session) mayFlag() index.Flags {
	if !s.at.shared {
		return flagsOf(index.AllRights)
	}
	return flagsOf(s.at.rights)
}

// flagsOf are the system flags that rights allow to change.
func flagsOf(r index.Rights) (f index.Flags) {
	if r.Has(index.RightSeen) {
		f |= index.FlagSeen
	}
	if r.Has(index.RightDeleteMessages) {
		f |= index.FlagDeleted
	}
	if r.Has(index.RightWrite) {
		f |= index.FlagAnswered | index.FlagFlagged | index.FlagDraft
	}
	return f
}

// keepFlags takes away of flags to be stored what the user may not set there: that is no reason to
// refuse a message (RFC 4314, section 4).
func (p *place) keepFlags(o access.AppendOptions) access.AppendOptions {
	if p.shared {
		o.Flags &= flagsOf(p.rights)
		if !p.rights.Has(index.RightWrite) {
			o.Keywords = nil
		}
	}
	return o
}

// storePermitted is storeFlags as far as the user has rights; without any that matters it is refused.
func (s *Session) storePermitted(ctx context.Context, uids *uidset.Set, req access.StoreRequest) ([]told, *uidset.Set, error) {
	mask, words := s.mayFlag(), s.may(index.RightWrite)
	if words && mask == flagsOf(index.AllRights) {
		return s.storeFlags(ctx, uids, req)
	}
	asked := req.Flags != 0 || len(req.Keywords) > 0
	flags := req.Flags & mask
	if !words {
		req.Keywords = nil
	}
	switch {
	case req.Op == access.Set && mask == 0, req.Op != access.Set && asked && flags == 0 && len(req.Keywords) == 0:
		return nil, nil, errNoPerm
	case req.Op != access.Set:
		req.Flags = flags
		return s.storeFlags(ctx, uids, req)
	}
	return s.replacePermitted(ctx, uids, req, mask, words)
}

// replacePermitted sets the flags of mask, and keywords where words is set, and leaves the others as they
// are: it takes away and then adds. What UNCHANGEDSINCE refuses for the first is left alone by the second.
func (s *Session) replacePermitted(ctx context.Context, uids *uidset.Set, req access.StoreRequest, mask index.Flags, words bool) ([]told, *uidset.Set, error) {
	less := access.StoreRequest{Op: access.Remove, Flags: mask &^ req.Flags, UnchangedSince: req.UnchangedSince}
	if words {
		now, err := s.box.Changes(ctx, s.view.Since())
		if err != nil {
			return nil, nil, err
		}
		for _, k := range now.Mailbox.Keywords {
			if !hasKeyword(req.Keywords, k) {
				less.Keywords = append(less.Keywords, k)
			}
		}
	}
	first, modified, err := s.storeFlags(ctx, uids, less)
	if err != nil {
		return nil, nil, err
	}
	rest := uids.Clone()
	rest.Subtract(modified)
	second, _, err := s.storeFlags(ctx, rest, access.StoreRequest{Op: access.Add, Flags: req.Flags & mask, Keywords: req.Keywords})
	return append(first, second...), modified, err
}

// reachesOthers reports whether a pattern of LIST may match a name below otherUsers.
func reachesOthers(reference, pattern string) bool {
	literal := reference + pattern
	if strings.HasPrefix(pattern, string(index.Delimiter)) {
		literal = pattern
	}
	if wild := strings.IndexAny(literal, "*%"); wild >= 0 {
		literal = literal[:wild]
		return strings.HasPrefix(otherUsers+string(index.Delimiter), literal) || strings.HasPrefix(literal, otherUsers)
	}
	return strings.HasPrefix(literal, otherUsers)
}

// withShared adds to one's own mailboxes those that others let the user see, and gives the rights on these
// by name. A subscription to one stands among one's own.
func (s *Session) withShared(ctx context.Context, own []index.Mailbox) ([]index.Mailbox, map[string]index.Rights, error) {
	neighbours, err := s.peer.Others.Shared(ctx, s.who.Account, !s.allCaughtUp)
	s.allCaughtUp = true
	if err != nil || len(neighbours) == 0 {
		return own, nil, err
	}
	at := make(map[string]int, len(own))
	for i, m := range own {
		at[m.Name] = i
	}
	rights := map[string]index.Rights{}
	for _, n := range neighbours {
		p := place{shared: true, owner: n.Account, prefix: sharedName(n.Address, "")}
		for _, sh := range n.Mailboxes {
			m := p.shown(sh.Mailbox)
			i, known := at[m.Name]
			switch {
			case !sh.Rights.Has(index.RightLookup):
				continue
			case known && own[i].ID != 0:
				continue // one's own, from before
			case known:
				m.Subscribed = true
				own[i] = m
			default:
				own = append(own, m)
			}
			rights[m.Name] = sh.Rights
		}
	}
	return own, rights, nil
}
