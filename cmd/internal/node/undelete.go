package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// methodUndelete asks the leader of an account's partition to look for expunged mail, or to bring it back.
const methodUndelete = "mail.undelete"

// maxUndeleted is how many messages one call brings back: it has to answer before the router asks again.
const maxUndeleted = 10_000

// maxListed is how many messages an answer lists.
const maxListed = 1000

// undeleteCall is the request of methodUndelete.
type undeleteCall struct {
	Account index.AccountID
	Query   mailstore.KeptQuery
	To      string
	DryRun  bool
}

// keepExpunged is how long expunged mail is kept: not at all while some node of the cluster runs a version
// that cannot keep it. Without the directory it is the default: mail is rather kept than lost.
func (n *Node) keepExpunged() time.Duration {
	if n.level() < command.KeepExpunged.Level() {
		return 0
	}
	days := 14
	err := n.view(func(v directory.View) error {
		s, err := v.Settings()
		if err == nil {
			days = s.UndeleteDays
		}
		return err
	})
	if err != nil {
		n.log.Warn("could not read how long expunged mail is kept", "days", days, "error", err)
	}
	return time.Duration(days) * 24 * time.Hour
}

// Undelete lists an account's expunged mail or brings it back.
func (n *Node) Undelete(ctx context.Context, address string, u adminapi.Undelete) (out adminapi.Undeleted, err error) {
	a, err := n.account(address)
	if err != nil {
		return out, err
	}
	call := undeleteCall{Account: a.ID, To: u.To, DryRun: u.DryRun,
		Query: mailstore.KeptQuery{Mailbox: u.Mailbox, Since: u.Since, Until: u.Until, MessageID: u.MessageID}}
	if !u.DryRun {
		call.Query.Most = maxUndeleted
	}
	request, err := json.Marshal(call)
	if err != nil {
		return out, fmt.Errorf("encode what to undelete: %w", err)
	}
	for {
		data, err := n.router.CallLeader(ctx, a.Partition, methodUndelete, request)
		if err != nil {
			return out, fmt.Errorf("undelete mail of %s, of which %d messages came back: %w", a.Address, out.Messages, err)
		}
		var part adminapi.Undeleted
		if err := json.Unmarshal(data, &part); err != nil {
			return out, fmt.Errorf("decode what came back: %w", err)
		}
		out.Messages, out.List = out.Messages+part.Messages, append(out.List, part.List...)
		if u.DryRun || part.Messages < maxUndeleted {
			return out, nil
		}
	}
}

// serveUndelete answers methodUndelete.
func (n *Node) serveUndelete(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var c undeleteCall
	if err := json.Unmarshal(request, &c); err != nil {
		return nil, fmt.Errorf("read what to undelete: %w", err)
	}
	if err := n.leads(c.Account); err != nil {
		return nil, err
	}
	a := n.store.Account(c.Account)
	var out adminapi.Undeleted
	if !c.DryRun {
		count, err := a.Undelete(ctx, c.Query, c.To)
		if err != nil {
			return nil, fmt.Errorf("%d messages came back, then: %w", count, err)
		}
		out.Messages = count
		return json.Marshal(out)
	}
	all, err := a.Kept(ctx, c.Query)
	if err != nil {
		return nil, err
	}
	out.Messages = len(all)
	for _, m := range all[:min(len(all), maxListed)] {
		out.List = append(out.List, adminapi.KeptMessage{Mailbox: m.Mailbox, Expunged: m.Expunged, Size: m.Size,
			MessageID: clipped(m.MessageID), Subject: clipped(m.Subject)})
	}
	return json.Marshal(out)
}

// clipped is a field as a list shows it: some come by the megabyte.
func clipped(text string) string { return text[:min(len(text), 200)] }
