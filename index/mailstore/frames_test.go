package mailstore_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// forms notes the first byte of each chunk that is delivered.
type forms struct {
	mailstore.Proposer
	seen []byte
}

func (f *forms) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	cmd := new(indexpb.DeliverCommand)
	if c.Kind == command.Deliver && cmd.UnmarshalVT(c.Payload) == nil {
		for _, chunk := range cmd.GetBody().GetChunks() {
			f.seen = append(f.seen, chunk[0])
		}
	}
	return f.Proposer.Propose(ctx, g, c)
}

// TestFrames: chunks have the short form only where they are small and every node reads it, and a
// store reads both forms whatever the level.
func TestFrames(t *testing.T) {
	level := command.LevelFirst
	f := new(forms)
	s := mailstoretest.New(t, func(c *mailstore.Config) {
		f.Proposer = c.Proposer
		c.Proposer, c.Level = f, func() command.Level { return level }
	})
	messages := []string{
		text("small", "the first level writes zstd"),
		text("short", "the second the short form"),
		text("long", strings.Repeat("but not of a long text\r\n", 1000)),
	}
	target := mailstore.Target{Account: 1}
	mustDeliver(t, s, messages[0], target)
	level = command.LevelSecond
	mustDeliver(t, s, messages[1], target)
	mustDeliver(t, s, messages[2], target)
	if want := "\x28\x01\x28"; string(f.seen) != want {
		t.Errorf("chunks begin with %x, want %x", f.seen, want)
	}
	level = command.LevelFirst
	box, err := s.Account(1).Open(t.Context(), index.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range messages {
		body, err := box.OpenBody(t.Context(), index.UID(i+1))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		if err != nil || string(got) != trace+want {
			t.Errorf("message %d: %q, %v", i+1, got, err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}
