package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// folder is a name that LIST knows: a mailbox, a name that is only subscribed, or one that only has
// children.
type folder struct {
	index.Mailbox
	children        bool // there are mailboxes below it
	subscribedBelow bool // a name below it is subscribed
	specialBelow    bool
}

func (f *folder) exists() bool { return f.ID != 0 }

// tree gives all names of the account in order, with the levels that exist only as parents.
func (s *Session) tree(ctx context.Context) ([]*folder, error) {
	boxes, err := s.account.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	return treeOf(boxes), nil
}

// wholeTree is tree with what others share, where a LIST may reach that, and the rights on it by name.
func (s *Session) wholeTree(ctx context.Context, a *wire.List) ([]*folder, map[string]index.Rights, error) {
	boxes, err := s.account.Mailboxes(ctx)
	if err != nil {
		return nil, nil, err
	}
	var rights map[string]index.Rights
	reaches := func(p string) bool { return reachesOthers(a.Reference, p) }
	if s.peer.Others != nil && slices.ContainsFunc(a.Patterns, reaches) {
		if boxes, rights, err = s.withShared(ctx, boxes); err != nil {
			return nil, nil, err
		}
	}
	return treeOf(boxes), rights, nil
}

// treeOf puts mailboxes in order, with the levels above them.
func treeOf(boxes []index.Mailbox) []*folder {
	byName := make(map[string]*folder, len(boxes))
	for _, m := range boxes {
		byName[m.Name] = &folder{Mailbox: m}
	}
	for _, m := range boxes {
		for name := m.Name; ; {
			cut := strings.LastIndexByte(name, index.Delimiter)
			if cut < 0 {
				break
			}
			name = name[:cut]
			parent, known := byName[name]
			if !known {
				parent = &folder{Mailbox: index.Mailbox{Name: name}}
				byName[name] = parent
			}
			parent.children = parent.children || m.ID != 0
			parent.subscribedBelow = parent.subscribedBelow || m.Subscribed
			parent.specialBelow = parent.specialBelow || m.SpecialUse != 0
		}
	}
	out := make([]*folder, 0, len(byName))
	for _, f := range byName {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *folder) int { return strings.Compare(listKey(a.Name), listKey(b.Name)) })
	return out
}

// listKey sorts INBOX first and children after their parent.
func listKey(name string) string {
	if name == index.Inbox || strings.HasPrefix(name, index.Inbox+string(index.Delimiter)) {
		name = "\x00" + name
	}
	return strings.ReplaceAll(name, string(index.Delimiter), "\x00")
}

// list is LIST (RFC 9051, section 6.3.9; RFC 5258; RFC 5819; RFC 6154; RFC 9590).
func (s *Session) list(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.List)
	if !a.Extended && a.Patterns[0] == "" {
		s.w.List(wire.ListLine{Name: "LIST", Attributes: []string{`\Noselect`}, Delimiter: index.Delimiter})
		return reply{}, nil
	}
	folders, shared, err := s.wholeTree(ctx, a)
	if err != nil {
		return reply{}, err
	}
	s.noteStatus(a.Status)
	patterns := listPatterns(a)
	for _, f := range folders {
		if !matchesAny(patterns, f.Name) {
			continue
		}
		line, ok := listLine(a, f)
		if !ok {
			continue
		}
		s.w.List(line)
		rights := index.AllRights
		if f.Owner != 0 {
			rights = shared[f.Name]
		}
		if a.Status != nil && f.exists() && rights.Has(index.RightRead) {
			freed, err := s.statusOf(ctx, &f.Mailbox, a.Status)
			if err != nil {
				return reply{}, err
			}
			s.tellStatus(f.Mailbox, a.Status, freed)
		}
		if a.ReturnMyRights && f.exists() { // RFC 8440, section 4
			s.tellMyRights(f.Name, rights)
		}
		if a.Metadata != nil && f.exists() {
			if err := s.listMetadata(ctx, f.Name, a.Metadata); err != nil {
				return reply{}, err
			}
		}
	}
	return reply{}, nil
}

func listPatterns(a *wire.List) []pattern {
	var out []pattern
	for _, p := range a.Patterns {
		out = append(out, newPattern(a.Reference, p))
	}
	return out
}

// listLine decides whether a name that matches is told, and with which attributes.
func listLine(a *wire.List, f *folder) (wire.ListLine, bool) {
	line := wire.ListLine{Name: "LIST", Delimiter: index.Delimiter, Mailbox: f.Name}
	var chosen bool
	switch {
	case a.SelectSubscribed && a.SelectSpecialUse:
		chosen = f.Subscribed && f.SpecialUse != 0
	case a.SelectSubscribed:
		chosen = f.Subscribed
	case a.SelectSpecialUse:
		chosen = f.SpecialUse != 0
	default:
		chosen = f.exists() || f.children
	}
	if a.SelectRecursive && (a.SelectSubscribed && f.subscribedBelow || a.SelectSpecialUse && f.specialBelow) {
		line.ChildInfo = a.SelectSubscribed
		chosen = true
	}
	if !chosen {
		return line, false
	}
	line.Attributes = attributes(f, a.SelectSubscribed || a.ReturnSubscribed)
	return line, true
}

// attributes are those of RFC 9051, section 7.3.1. Special uses and children are always told.
func attributes(f *folder, subscribed bool) []string {
	var out []string
	if !f.exists() {
		out = append(out, `\NonExistent`)
	}
	if subscribed && f.Subscribed {
		out = append(out, `\Subscribed`)
	}
	if f.children {
		out = append(out, `\HasChildren`)
	} else {
		out = append(out, `\HasNoChildren`)
	}
	for _, u := range specialUses() {
		if f.SpecialUse&u.bit != 0 {
			out = append(out, u.name)
		}
	}
	return out
}

// lsub is LSUB (RFC 3501, section 6.3.9): with "%", a name that is not subscribed but has such names
// below it that the pattern does not reach is told with \Noselect.
func (s *Session) lsub(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.List)
	if a.Patterns[0] == "" {
		s.w.List(wire.ListLine{Name: "LSUB", Attributes: []string{`\Noselect`}, Delimiter: index.Delimiter})
		return reply{}, nil
	}
	folders, _, err := s.wholeTree(ctx, a)
	if err != nil {
		return reply{}, err
	}
	patterns := listPatterns(a)
	percent := strings.HasSuffix(a.Patterns[0], "%")
	for _, f := range folders {
		if !matchesAny(patterns, f.Name) {
			continue
		}
		line := wire.ListLine{Name: "LSUB", Delimiter: index.Delimiter, Mailbox: f.Name}
		switch {
		case f.Subscribed && f.exists():
		case f.Subscribed, percent && f.subscribedBelow:
			line.Attributes = []string{`\Noselect`}
		default:
			continue
		}
		s.w.List(line)
	}
	return reply{}, nil
}
