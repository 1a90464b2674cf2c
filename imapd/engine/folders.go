package engine

import (
	"context"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// create is CREATE (RFC 9051, section 6.3.4; RFC 6154, section 3).
func (s *Session) create(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Create)
	use, err := parseUses(a.Uses)
	if err != nil {
		return reply{}, err
	}
	p, err := s.newPlace(ctx, a.Mailbox)
	if err == nil && p.shared && use != 0 {
		err = errSpecialUse
	}
	if err != nil {
		return reply{}, err
	}
	m, err := p.account.Create(ctx, p.name, use)
	if err != nil {
		return reply{}, err
	}
	return ok("MAILBOXID ("+s.mailboxID(p.shown(m))+")", "CREATE completed"), nil
}

// parseUses gives the special uses that a mailbox can be made with. \All and \Flagged would be views
// of other mailboxes, which there are none of.
func parseUses(names []string) (index.SpecialUse, error) {
	var use index.SpecialUse
	for _, n := range names {
		bit := index.SpecialUse(0)
		for _, u := range specialUses() {
			if equalFold(n, u.name) {
				bit = u.bit
			}
		}
		if bit == 0 || bit == index.UseAll || bit == index.UseFlagged {
			return 0, errSpecialUse
		}
		use |= bit
	}
	return use, nil
}

type specialUse struct {
	bit  index.SpecialUse
	name string
}

func specialUses() []specialUse {
	return []specialUse{
		{index.UseAll, `\All`}, {index.UseArchive, `\Archive`}, {index.UseDrafts, `\Drafts`},
		{index.UseFlagged, `\Flagged`}, {index.UseJunk, `\Junk`}, {index.UseSent, `\Sent`},
		{index.UseTrash, `\Trash`}, {index.UseImportant, `\Important`},
	}
}

// delete is DELETE (RFC 9051, section 6.3.5). Deleting the mailbox that is selected leaves it.
func (s *Session) delete(ctx context.Context, cmd *wire.Command) (reply, error) {
	name := cmd.Args.(*wire.Mailbox).Name
	p, err := s.need(ctx, name, index.RightDelete)
	if err != nil {
		return reply{}, err
	}
	var here bool
	if s.box != nil && s.at.owner == p.owner {
		if m, err := p.account.Mailbox(ctx, p.name); err == nil {
			here = m.ID == s.box.Info().ID
		}
	}
	if err := p.account.Delete(ctx, p.name); err != nil {
		return reply{}, err
	}
	if here {
		s.deselect()
	}
	return reply{}, nil
}

// rename is RENAME (RFC 9051, section 6.3.6).
func (s *Session) rename(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Rename)
	from, err := s.need(ctx, a.From, index.RightDelete)
	if err != nil {
		return reply{}, err
	}
	to, err := s.newPlace(ctx, a.To)
	if err == nil && to.owner != from.owner {
		err = errAcross
	}
	if err != nil {
		return reply{}, err
	}
	err = from.account.Rename(ctx, from.name, to.name)
	if err == nil && from.name == index.Inbox && s.at.name == index.Inbox && s.at.owner == from.owner {
		s.answer(cmd, reply{})
		return reply{}, errInboxRenamed
	}
	return reply{}, err
}

// subscribe is SUBSCRIBE and UNSUBSCRIBE (RFC 9051, sections 6.3.7 and 6.3.8). A name need not exist.
func (s *Session) subscribe(ctx context.Context, cmd *wire.Command) (reply, error) {
	name := strings.TrimSuffix(cmd.Args.(*wire.Mailbox).Name, string(index.Delimiter))
	return reply{}, s.account.Subscribe(ctx, name, cmd.Name == "SUBSCRIBE")
}
