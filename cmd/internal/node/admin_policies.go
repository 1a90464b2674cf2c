package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// InboundPolicies implements adminapi.InboundRules.
func (n *Node) InboundPolicies(context.Context) ([]adminapi.InboundPolicy, error) {
	out := []adminapi.InboundPolicy{}
	err := n.view(func(v directory.View) error {
		return v.EachMailRecord(directory.MailInboundPolicy, "", func(m *directorypb.MailRecord) error {
			p := m.GetInboundPolicy()
			out = append(out, adminapi.InboundPolicy{Of: recordOf(v, m.Name), DMARC: p.GetDmarc(), JunkScore: p.JunkScore, RefuseScore: p.RefuseScore,
				SubaddressFolders: p.GetSubaddressFolders()})
			return nil
		})
	})
	return out, err
}

// EffectivePolicy implements adminapi.InboundRules.
func (n *Node) EffectivePolicy(_ context.Context, recipient string) (out adminapi.InboundPolicy, err error) {
	var found directory.Resolution
	err = n.view(func(v directory.View) error {
		found, err = v.Resolve(recipient)
		return err
	})
	if err != nil {
		return out, err
	}
	account := cluster.AccountID(0)
	if len(found.Accounts) > 0 {
		account = found.Accounts[0].Account.ID
	}
	set, err := n.accountPolicy(account, recipient)
	if err != nil {
		return out, err
	}
	p := set.of(inbound.Author{})
	return adminapi.InboundPolicy{Of: recipient, DMARC: string(p.DMARC), JunkScore: &p.JunkScore, RefuseScore: &p.RefuseScore, SubaddressFolders: set.subaddress}, nil
}

// PutInboundPolicy implements adminapi.InboundRules: what is given is set, the rest stays.
func (n *Node) PutInboundPolicy(ctx context.Context, p adminapi.InboundPolicy) error {
	if err := errors.Join(n.needThird(), checkInboundPolicy(p)); err != nil {
		return err
	}
	record := &directorypb.MailRecord{}
	err := n.view(func(v directory.View) error {
		name, err := recordName(v, p.Of)
		if err != nil {
			return err
		}
		if name == ofCluster {
			return fmt.Errorf("%w: what holds for the cluster are settings: rookery setting", directory.ErrInvalid)
		}
		if record, err = v.MailRecord(directory.MailInboundPolicy, name); errors.Is(err, directory.ErrNotFound) {
			record, err = &directorypb.MailRecord{Name: name}, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	m := record.GetInboundPolicy()
	if m == nil {
		m = &directorypb.InboundPolicy{}
	}
	m.Dmarc, m.SubaddressFolders = cmp.Or(p.DMARC, m.Dmarc), cmp.Or(p.SubaddressFolders, m.SubaddressFolders)
	if p.JunkScore != nil {
		m.JunkScore = p.JunkScore
	}
	if p.RefuseScore != nil {
		m.RefuseScore = p.RefuseScore
	}
	version := record.Version
	record.Record = &directorypb.MailRecord_InboundPolicy{InboundPolicy: m}
	return n.putMail(ctx, directory.MailChange{Record: record, Expected: &version})
}

// checkInboundPolicy says what is wrong with what is to be set.
func checkInboundPolicy(p adminapi.InboundPolicy) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", directory.ErrInvalid, fmt.Sprintf(format, args...))
	}
	if p.DMARC != "" && !slices.Contains([]string{"follow", "quarantine", "tag"}, p.DMARC) {
		return wrong("dmarc %q: use follow, quarantine or tag", p.DMARC)
	}
	if p.SubaddressFolders != "" && !slices.Contains([]string{"off", "existing"}, p.SubaddressFolders) {
		return wrong("subaddress folders %q: use off or existing", p.SubaddressFolders)
	}
	for _, score := range []*float64{p.JunkScore, p.RefuseScore} {
		if score != nil && !(*score >= 0 && *score <= 1000) {
			return wrong("a score of %v: use 0 to 1000, 0 for never", *score)
		}
	}
	if p.DMARC == "" && p.SubaddressFolders == "" && p.JunkScore == nil && p.RefuseScore == nil {
		return wrong("nothing to set")
	}
	if strings.HasPrefix(p.Of, fromPrefix) && p.SubaddressFolders != "" {
		return wrong("subaddress folders are of recipients")
	}
	return nil
}

// RemoveInboundPolicy implements adminapi.InboundRules.
func (n *Node) RemoveInboundPolicy(ctx context.Context, of string) error {
	var name string
	err := n.view(func(v directory.View) (err error) {
		name, err = recordName(v, of)
		return err
	})
	if err != nil {
		return err
	}
	return n.removeMail(ctx, directory.MailInboundPolicy, name)
}

// tidyInboundRules forgets lists and policies of domains and accounts that are gone, as leader work of the directory.
func (n *Node) tidyInboundRules(ctx context.Context) error {
	var changes []directory.MailChange
	err := n.view(func(v directory.View) error {
		for _, kind := range []directory.MailKind{directory.MailSenderList, directory.MailInboundPolicy} {
			err := v.EachMailRecord(kind, "", func(m *directorypb.MailRecord) error {
				gone, err := ownerGone(v, m.Name)
				if gone && len(changes) < mostForgotten {
					changes = append(changes, directory.MailChange{Record: m, Remove: true, Expected: &m.Version})
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	return n.putMail(ctx, changes...)
}

// ownerGone reports whether whom a record is of is not there any more.
func ownerGone(v directory.View, name string) (bool, error) {
	var err error
	switch number, ok := strings.CutPrefix(name, "#"); {
	case ok:
		var id uint64
		if id, err = strconv.ParseUint(number, 10, 64); err == nil {
			_, err = v.Account(cluster.AccountID(id))
		}
	case name == ofCluster, strings.HasPrefix(name, fromPrefix):
	default:
		_, err = v.Domain(name)
	}
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrNoDomain) {
		return true, nil
	}
	return false, err
}
