package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// methodStories asks the leader of a partition for stories.
const methodStories = "story.find"

// storyQuestion is what it asks: the latest stories with a name that began between two days, both included.
type storyQuestion struct {
	Group    cluster.GroupID
	Name     string
	From, To uint32
	Most     int
}

// The bounds of an answer.
const (
	storyEvents = 2000      // of a message
	storyAnswer = 15 * 1000 // events of all
	storyNames  = 200       // recipients of a message that are named
)

// serveStories answers methodStories.
func (n *Node) serveStories(_ context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var q storyQuestion
	if err := json.Unmarshal(request, &q); err != nil {
		return nil, fmt.Errorf("read which stories: %w", err)
	}
	r, err := n.leader(q.Group)
	if err != nil {
		return nil, err
	}
	snap := r.Snapshot()
	defer snap.Close()
	list, err := story.Find(snap, q.Name, q.From, q.To, q.Most)
	if err != nil {
		return nil, err
	}
	t := &teller{n: n, group: q.Group, snap: snap, name: q.Name, accounts: map[uint64]string{}, mailboxes: map[string]string{}}
	out := []adminapi.Trace{}
	for _, s := range list {
		told, err := t.trace(s)
		if err != nil {
			return nil, err
		}
		out = append(out, told)
		if t.events >= storyAnswer {
			out[len(out)-1].More = true
			break
		}
	}
	return json.Marshal(out)
}

// teller puts stories into the words of the admin API.
type teller struct {
	n         *Node
	group     cluster.GroupID
	snap      kv.Reader
	name      string
	accounts  map[uint64]string
	mailboxes map[string]string
	events    int
}

func (t *teller) trace(s story.Story) (adminapi.Trace, error) {
	head := s.Pieces[0]
	out := adminapi.Trace{Transaction: head.Id, MessageID: head.MessageId, Sender: head.Sender, More: s.More,
		Recipients: head.Recipients[:min(len(head.Recipients), storyNames)]}
	// Who asks for one recipient of many is told of that one.
	only := ""
	if i := slices.IndexFunc(head.Recipients, func(r string) bool { return strings.EqualFold(r, t.name) }); i >= 0 && !strings.EqualFold(head.Sender, t.name) {
		only = head.Recipients[i]
		out.Recipients = []string{only}
	}
	for _, p := range s.Pieces {
		for _, e := range p.Events {
			whole := e.Kind == queuepb.StoryKind_STORY_KIND_QUEUED || e.Kind == queuepb.StoryKind_STORY_KIND_HELD
			if only != "" && e.Recipient != "" && !whole && !strings.EqualFold(e.Recipient, only) {
				continue
			}
			if len(out.Events) == storyEvents {
				out.More = true
				return out, nil
			}
			ev, err := t.event(p.At, e)
			if err != nil {
				return out, err
			}
			out.Events = append(out.Events, ev)
			t.events++
		}
	}
	return out, nil
}

func (t *teller) event(ms int64, e *queuepb.StoryEvent) (adminapi.TraceEvent, error) {
	out := adminapi.TraceEvent{At: at(ms), Partition: uint16(t.group), Recipient: e.Recipient, Node: e.Node, Client: e.Client, Login: e.Login,
		What: strings.ToLower(strings.TrimPrefix(e.Kind.String(), "STORY_KIND_")), UID: e.Uid, Text: e.Text}
	if e.Kind == queuepb.StoryKind_STORY_KIND_RECEIVED {
		out.Checked, out.Text = e.Text, ""
		if out.Checked == "" {
			out.Checked = "accepted"
		}
	}
	if e.Entry != 0 {
		out.Entry = entryID(t.group, e.Entry)
	}
	if e.Account != 0 {
		out.Account = t.account(e.Account)
	}
	if e.Mailbox != 0 {
		var err error
		if out.Mailbox, err = t.mailbox(e.Account, e.Mailbox); err != nil {
			return out, err
		}
	}
	if e.Attempt != nil {
		out.Attempt = attemptOf(e.Attempt)
		if out.Attempt.At.IsZero() {
			out.Attempt.At = out.At
		}
		out.Node = e.Attempt.Node
	}
	return out, nil
}

func (t *teller) account(id uint64) string {
	name, ok := t.accounts[id]
	if !ok {
		name = t.n.nameOf(index.AccountID(id))
		t.accounts[id] = name
	}
	return name
}

// mailbox is the name that a mailbox has now.
func (t *teller) mailbox(account uint64, id uint32) (string, error) {
	key := fmt.Sprint(account, " ", id)
	name, ok := t.mailboxes[key]
	if ok {
		return name, nil
	}
	m, ok, err := mailbox.Load(t.snap, index.AccountID(account), index.MailboxID(id))
	if err != nil {
		return "", err
	}
	if name = m.Name; !ok {
		name = fmt.Sprintf("a mailbox that is gone (%d)", id)
	}
	t.mailboxes[key] = name
	return name, nil
}
