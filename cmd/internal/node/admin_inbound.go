package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/inbound"
)

var _ adminapi.InboundRules = (*Node)(nil)

// The bounds of a list of senders: all of it is one record, which each message's recipient may have read.
const (
	maxSenders    = 1000
	maxSenderNote = 80 // octets
)

// SenderList implements adminapi.InboundRules.
func (n *Node) SenderList(_ context.Context, of string) ([]adminapi.SenderEntry, error) {
	out := []adminapi.SenderEntry{}
	err := n.view(func(v directory.View) error {
		prefix := ""
		if of != "" {
			name, err := recordName(v, of)
			if err != nil {
				return err
			}
			prefix = name
		}
		return v.EachMailRecord(directory.MailSenderList, prefix, func(m *directorypb.MailRecord) error {
			if of != "" && m.Name != prefix {
				return nil
			}
			for _, s := range m.GetSenderList().GetSenders() {
				out = append(out, adminapi.SenderEntry{Of: recordOf(v, m.Name), Sender: s.Pattern, Action: actionOf(s), Note: s.Note, Created: timeOf(s.Created)})
			}
			return nil
		})
	})
	return out, err
}

func actionOf(s *directorypb.Sender) string {
	switch {
	case s.Allow:
		return "allow"
	case s.Junk:
		return "junk"
	}
	return "refuse"
}

// PutSenderEntry implements adminapi.InboundRules.
func (n *Node) PutSenderEntry(ctx context.Context, e adminapi.SenderEntry) error {
	pattern, err := inbound.ParsePattern(e.Sender)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	if !slices.Contains([]string{"allow", "refuse", "junk"}, e.Action) {
		return fmt.Errorf("%w: %q: use allow, refuse or junk", directory.ErrInvalid, e.Action)
	}
	if len(e.Note) > maxSenderNote {
		return fmt.Errorf("%w: a note of %d octets; %d are allowed", directory.ErrInvalid, len(e.Note), maxSenderNote)
	}
	return n.changeSenders(ctx, e.Of, func(list []*directorypb.Sender) ([]*directorypb.Sender, error) {
		list = slices.DeleteFunc(list, func(s *directorypb.Sender) bool { return s.Pattern == pattern.String() })
		if len(list) >= maxSenders {
			return nil, fmt.Errorf("%w: a list has at most %d senders", directory.ErrInvalid, maxSenders)
		}
		list = append(list, &directorypb.Sender{Pattern: pattern.String(), Allow: e.Action == "allow", Junk: e.Action == "junk", Note: e.Note, Created: time.Now().UnixMilli()})
		slices.SortStableFunc(list, func(a, b *directorypb.Sender) int {
			return cmp.Or(cmp.Compare(wideness(a), wideness(b)), strings.Compare(a.Pattern, b.Pattern))
		})
		return list, nil
	})
}

// wideness orders the entries of a list: what names few is asked before what names many.
func wideness(s *directorypb.Sender) int {
	switch {
	case strings.Contains(s.Pattern, "@"):
		return 0
	case strings.HasPrefix(s.Pattern, "."):
		return 1000 - strings.Count(s.Pattern, ".")
	}
	if p, err := inbound.ParsePattern(s.Pattern); err == nil && p.Network() {
		return 2000 // of what names senders, each is asked first
	}
	return 1
}

// RemoveSenderEntry implements adminapi.InboundRules.
func (n *Node) RemoveSenderEntry(ctx context.Context, of, sender string) error {
	pattern, err := inbound.ParsePattern(sender)
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return n.changeSenders(ctx, of, func(list []*directorypb.Sender) ([]*directorypb.Sender, error) {
		left := slices.DeleteFunc(slices.Clone(list), func(s *directorypb.Sender) bool { return s.Pattern == pattern.String() })
		if len(left) == len(list) {
			return nil, fmt.Errorf("%w: %s is not in the list of %s", directory.ErrNotFound, pattern, of)
		}
		return left, nil
	})
}

// changeSenders changes a list, which nobody else changes meanwhile.
func (n *Node) changeSenders(ctx context.Context, of string, change func([]*directorypb.Sender) ([]*directorypb.Sender, error)) error {
	if err := n.needThird(); err != nil {
		return err
	}
	record := &directorypb.MailRecord{}
	err := n.view(func(v directory.View) error {
		name, err := recordName(v, of)
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, fromPrefix) {
			return fmt.Errorf("%w: a list of senders is the cluster's, a domain's or an account's", directory.ErrInvalid)
		}
		if record, err = v.MailRecord(directory.MailSenderList, name); errors.Is(err, directory.ErrNotFound) {
			record, err = &directorypb.MailRecord{Name: name}, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	list, err := change(record.GetSenderList().GetSenders())
	if err != nil {
		return err
	}
	version := record.Version
	record.Record = &directorypb.MailRecord_SenderList{SenderList: &directorypb.SenderList{Senders: list}}
	return n.putMail(ctx, directory.MailChange{Record: record, Remove: len(list) == 0, Expected: &version})
}

// recordName is the name of the records of whoever a text names: the cluster, a domain of ours, an account, or a domain elsewhere
// behind "from:".
func recordName(v directory.View, of string) (string, error) {
	if rest, ok := strings.CutPrefix(of, fromPrefix); ok {
		domain, err := address.ParseDomain(rest)
		if err != nil {
			return "", fmt.Errorf("%w: %w", directory.ErrInvalid, err)
		}
		return fromPrefix + domain, nil
	}
	switch {
	case of == "" || of == ofCluster:
		return ofCluster, nil
	case strings.Contains(of, "@"):
		account, err := v.AccountByAddress(of)
		return accountName(account.ID), err
	}
	d, err := v.Domain(of)
	return d.Name, err
}

// recordOf is whom a record's name means, as people write it.
func recordOf(v directory.View, name string) string {
	if number, ok := strings.CutPrefix(name, "#"); ok {
		if id, err := strconv.ParseUint(number, 10, 64); err == nil {
			if account, err := v.Account(cluster.AccountID(id)); err == nil {
				return account.Address
			}
		}
	}
	return name
}
