package exactlyonce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
)

// counter is a Machine that counts executions under 0x10 and answers with the count.
type counter struct{ fail error }

func (c *counter) Execute(b kv.Batch, cmd command.Command) ([]byte, error) {
	if c.fail != nil {
		return nil, c.fail
	}
	value, _, err := b.Get([]byte{0x10})
	if err != nil {
		return nil, err
	}
	n := uint64(1)
	if value != nil {
		n += binary.BigEndian.Uint64(value)
	}
	value = binary.BigEndian.AppendUint64(nil, n)
	return fmt.Appendf(nil, "%s is number %d", cmd.Payload, n), b.Set([]byte{0x10}, value)
}

func (c *counter) Committed(cluster.LogIndex) {}
func (c *counter) Restored(r kv.Reader) error { return nil }
func id(n int) (id cluster.CommandID)         { binary.BigEndian.PutUint64(id[:], uint64(n)); return id }
func entry(index int, n int) cluster.Entry    { return entryOf(index, id(n), command.Deliver) }
func small(m Machine, window, chunk int) *once {
	return &once{machine: m, window: window, chunk: chunk}
}
func openState(t interface{ Fatal(...any) }) *state.DB {
	d, err := state.Open("/state", state.Config{FS: vfs.NewMem(), CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func entryOf(index int, id cluster.CommandID, kind command.Kind) cluster.Entry {
	c := command.Command{ID: id, Kind: kind, Time: time.UnixMilli(1), Payload: fmt.Appendf(nil, "%x", id[7])}
	return cluster.Entry{Index: cluster.LogIndex(index), Data: c.Append(nil)}
}

// apply executes entries in one batch and commits it.
func apply(g *state.Group, m cluster.StateMachine, entries ...cluster.Entry) (out []string, err error) {
	b := g.NewBatch()
	defer b.Close()
	results, err := m.Apply(b, entries)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		out = append(out, string(r))
	}
	return out, b.Commit(entries[len(entries)-1].Index)
}

// restart returns a machine that knows only the keys.
func restart(t testing.TB, g *state.Group, m *once) *once {
	t.Helper()
	s := g.Snapshot()
	defer s.Close()
	fresh := small(m.machine, m.window, m.chunk)
	if err := fresh.Restored(s); err != nil {
		t.Fatal(err)
	}
	return fresh
}

func TestDuplicateGetsTheFirstResult(t *testing.T) {
	d := openState(t)
	defer d.Close()
	g := d.Group(1)
	m := small(new(counter), 100, 10)
	first, err := apply(g, m, entry(5, 1), entry(6, 2), entry(7, 1))
	if err != nil {
		t.Fatal(err)
	}
	if first[0] != "1 is number 1" || first[1] != "2 is number 2" || first[2] != first[0] {
		t.Errorf("in one batch: %q", first)
	}
	m = restart(t, g, m)
	later, err := apply(g, m, entry(8, 2), entry(9, 1), entry(10, 3))
	if err != nil {
		t.Fatal(err)
	}
	if later[0] != first[1] || later[1] != first[0] || later[2] != "3 is number 3" {
		t.Errorf("after a restart: %q", later)
	}
	zero := entryOf(11, cluster.CommandID{}, command.Deliver)
	again, err := apply(g, m, zero, zero)
	if err != nil || again[0] == again[1] {
		t.Errorf("commands without an identity: %q, %v", again, err)
	}
}

func TestOldCommandsAreForgotten(t *testing.T) {
	d := openState(t)
	defer d.Close()
	g := d.Group(1)
	m := small(new(counter), 100, 10)
	for i := 1; i <= 500; i++ {
		if _, err := apply(g, m, entry(i, i)); err != nil {
			t.Fatal(err)
		}
		if n := m.recent.len(); n > 110 || (i > 110 && n < 100) {
			t.Fatalf("%d remembered after %d", n, i)
		}
	}
	if got := restart(t, g, m).recent; len(got.order) != m.recent.len() || got.order[0] != m.recent.order[0] {
		t.Errorf("the keys hold %d from %d, the memory %d from %d", len(got.order), got.order[0].index, m.recent.len(), m.recent.order[0].index)
	}
	out, err := apply(g, m, entry(501, 450), entry(502, 1))
	if err != nil || out[0] != fmt.Sprintf("%x is number 450", id(450)[7]) || out[1] != "1 is number 501" {
		t.Errorf("one remembered, one forgotten: %q, %v", out, err)
	}
}

func TestHalts(t *testing.T) {
	d := openState(t)
	defer d.Close()
	g := d.Group(1)
	broken := errors.New("broken")
	for _, c := range []struct {
		name  string
		m     *counter
		entry cluster.Entry
		want  error
	}{
		{"no envelope", new(counter), cluster.Entry{Index: 1, Data: []byte("x")}, ErrTooOld},
		{"a kind of later versions", new(counter), entryOf(1, id(1), 0xffff), ErrTooOld},
		{"a failing machine", &counter{fail: broken}, entry(1, 1), broken},
	} {
		if _, err := apply(g, small(c.m, 100, 10), c.entry); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestReplicasAgree runs random commands with repeats on two replicas that batch differently and
// restart at different times: results and keys are equal.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := openState(rt)
		defer d.Close()
		a, b := small(new(counter), 20, 5), small(new(counter), 20, 5)
		ids := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 150).Draw(rt, "ids")
		var entries []cluster.Entry
		for i, n := range ids {
			entries = append(entries, entry(i+1, n))
		}
		var one, other []string
		for _, e := range entries {
			out, err := apply(d.Group(1), a, e)
			if err != nil {
				rt.Fatal(err)
			}
			one = append(one, out...)
		}
		for len(entries) > 0 {
			n := rapid.IntRange(1, len(entries)).Draw(rt, "batch")
			out, err := apply(d.Group(2), b, entries[:n]...)
			if err != nil {
				rt.Fatal(err)
			}
			other, entries = append(other, out...), entries[n:]
			b = restart(t, d.Group(2), b)
		}
		if fmt.Sprint(one) != fmt.Sprint(other) {
			rt.Fatalf("results differ:\n%q\n%q", one, other)
		}
		sumA, _, _ := d.Group(1).Hash()
		if sumB, _, err := d.Group(2).Hash(); sumA != sumB || err != nil {
			rt.Fatalf("keys differ, %v", err)
		}
	})
}
