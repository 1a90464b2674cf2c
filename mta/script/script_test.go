package script_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/mta/script"
	"github.com/rookery-mail/rookery/mta/script/scriptpb"
)

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world executes commands in a batch that is never committed.
type world struct {
	t tester
	b kv.Batch
	p *partition.Partition
}

func newWorld(t tester) *world {
	t.Helper()
	db, err := state.Open("state", state.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	b := db.Group(1).NewBatch()
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	})
	return &world{t, b, partition.New(partition.Config{More: []partition.Extension{script.New()}})}
}

func (w *world) do(cmd *scriptpb.EditScriptsCommand) error {
	w.t.Helper()
	data, err := cmd.MarshalVT()
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := w.p.Execute(w.b, command.Command{Kind: command.EditScripts, Time: epoch, Payload: data})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := script.Verify(w.b); err != nil {
		w.t.Fatalf("after %v: %v", cmd, err)
	}
	return script.Refusal(res)
}

func (w *world) list() string {
	w.t.Helper()
	list, err := script.List(w.b, 7)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, s := range list {
		mark := ""
		if s.Active {
			mark = "*"
		}
		out = append(out, fmt.Sprintf("%s%s=%s", s.Name, mark, s.Text))
	}
	return strings.Join(out, " ")
}

const (
	put      = scriptpb.Edit_EDIT_PUT
	rename   = scriptpb.Edit_EDIT_RENAME
	remove   = scriptpb.Edit_EDIT_DELETE
	activate = scriptpb.Edit_EDIT_ACTIVATE
	forget   = scriptpb.Edit_EDIT_FORGET
)

func edit(e scriptpb.Edit, name, other string) *scriptpb.EditScriptsCommand {
	cmd := &scriptpb.EditScriptsCommand{Account: 7, Edit: e, Name: name}
	if e == put {
		cmd.Text = []byte(other)
	} else {
		cmd.To = other
	}
	return cmd
}

// TestStory: the life of an account's scripts, as ManageSieve tells it.
func TestStory(t *testing.T) {
	w := newWorld(t)
	activated := edit(put, "c", "4")
	activated.Activate = true
	few, small := edit(put, "d", "5"), edit(put, "b", "a longer one")
	few.MaxScripts, small.MaxOctets = 3, 10
	for _, step := range []struct {
		cmd  *scriptpb.EditScriptsCommand
		want error
		list string
	}{
		{edit(activate, "", ""), nil, ""},
		{edit(put, "a", "1"), nil, "a=1"},
		{edit(put, "b", "2"), nil, "a=1 b=2"},
		{edit(activate, "a", ""), nil, "a*=1 b=2"},
		{edit(put, "a", "3"), nil, "a*=3 b=2"},
		{edit(remove, "a", ""), script.ErrActive, "a*=3 b=2"},
		{edit(rename, "a", "b"), script.ErrExists, "a*=3 b=2"},
		{edit(rename, "a", "A"), nil, "A*=3 b=2"},
		{edit(rename, "a", "x"), script.ErrNoScript, "A*=3 b=2"},
		{edit(activate, "a", ""), script.ErrNoScript, "A*=3 b=2"},
		{activated, nil, "A=3 b=2 c*=4"},
		{few, script.ErrTooMany, "A=3 b=2 c*=4"},
		{small, script.ErrTooLarge, "A=3 b=2 c*=4"},
		{edit(put, "huge", strings.Repeat("x", script.MaxText+1)), script.ErrTooLarge, "A=3 b=2 c*=4"},
		{edit(activate, "", ""), nil, "A=3 b=2 c=4"},
		{edit(remove, "c", ""), nil, "A=3 b=2"},
		{edit(remove, "c", ""), script.ErrNoScript, "A=3 b=2"},
		{edit(put, "a\x00b", ""), script.ErrInvalid, "A=3 b=2"},
		{edit(put, "", ""), script.ErrInvalid, "A=3 b=2"},
		{edit(rename, "b", "\u2028"), script.ErrInvalid, "A=3 b=2"},
		{&scriptpb.EditScriptsCommand{Edit: put, Name: "x"}, script.ErrInvalid, "A=3 b=2"},
		{edit(99, "b", ""), script.ErrInvalid, "A=3 b=2"},
		{&scriptpb.EditScriptsCommand{Account: 8, Edit: forget}, nil, "A=3 b=2"},
		{edit(forget, "", ""), nil, ""},
	} {
		if err := w.do(step.cmd); !errors.Is(err, step.want) {
			t.Errorf("%v %q: %v, not %v", step.cmd.Edit, step.cmd.Name, err, step.want)
		}
		if got := w.list(); got != step.list {
			t.Errorf("after %v %q: %q, not %q", step.cmd.Edit, step.cmd.Name, got, step.list)
		}
	}
	if _, err := w.p.Execute(w.b, command.Command{Kind: 0x05ff}); !errors.Is(err, command.ErrKind) {
		t.Errorf("another kind: %v", err)
	}
	if res, err := w.p.Execute(w.b, command.Command{Kind: command.EditScripts, Payload: []byte{0xff}}); err != nil || !errors.Is(script.Refusal(res), script.ErrInvalid) {
		t.Errorf("no payload: %v", err)
	}
}

// TestModel: whatever comes in whatever order, the scripts are what a map of them would be.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		scripts, active := map[string]string{}, ""
		name := rapid.SampledFrom([]string{"a", "b", "c", "ab", "\u00e4"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n, text := name.Draw(t, "name"), rapid.StringN(0, 5, 9).Draw(t, "text")
				if err := w.do(edit(put, n, text)); err != nil {
					t.Fatal(err)
				}
				scripts[n] = text
			},
			"rename": func(t *rapid.T) {
				n, to := name.Draw(t, "name"), name.Draw(t, "to")
				_, has := scripts[n]
				_, taken := scripts[to]
				if err := w.do(edit(rename, n, to)); (err == nil) != (has && !taken) {
					t.Fatal(err)
				} else if err == nil {
					scripts[to] = scripts[n]
					delete(scripts, n)
					if active == n {
						active = to
					}
				}
			},
			"remove": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, has := scripts[n]
				if err := w.do(edit(remove, n, "")); (err == nil) != (has && active != n) {
					t.Fatal(err)
				} else if err == nil {
					delete(scripts, n)
				}
			},
			"activate": func(t *rapid.T) {
				n := name.Draw(t, "name")
				_, has := scripts[n]
				if err := w.do(edit(activate, n, "")); (err == nil) != has {
					t.Fatal(err)
				} else if err == nil {
					active = n
				}
			},
			"": func(t *rapid.T) {
				list, err := script.List(w.b, 7)
				if err != nil || !slices.Equal(slices.Sorted(maps.Keys(scripts)), names(list)) {
					t.Fatalf("%v, %v; not %v", names(list), err, scripts)
				}
				for _, s := range list {
					if string(s.Text) != scripts[s.Name] || s.Active != (s.Name == active) {
						t.Fatalf("%s is %q, active %v", s.Name, s.Text, s.Active)
					}
				}
			},
		})
	})
}

func names(list []script.Script) (out []string) {
	for _, s := range list {
		out = append(out, s.Name)
	}
	return out
}

// TestGolden holds keys, records and command to their bytes for ever.
func TestGolden(t *testing.T) {
	w := newWorld(t)
	cmd := edit(put, "ab", "stop;")
	cmd.Activate = true
	if err := w.do(cmd); err != nil {
		t.Fatal(err)
	}
	it, err := w.b.Scan([]byte{0x40}, []byte{0x41})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, hex.EncodeToString(it.Key())+" "+hex.EncodeToString(value))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
	want := []string{"40000000000000000007 0a02616210011801" + "2005", "400100000000000000076162 0a0573746f703b10" + "80a2ed87a034"}
	if !slices.Equal(got, want) {
		t.Errorf("keys\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, c := range map[string]struct {
		m    interface{ MarshalVT() ([]byte, error) }
		want string
	}{
		"command": {&scriptpb.EditScriptsCommand{Account: 7, Edit: rename, Name: "a", To: "b", Text: []byte("c"), Activate: true, MaxScripts: 3, MaxOctets: 300},
			"080710021a01612201622a01633001380340ac02"},
		"result": {&scriptpb.Result{Code: scriptpb.Code_CODE_ACTIVE, Text: "x"}, "0803120178"},
	} {
		data, err := c.m.MarshalVT()
		if text := hex.EncodeToString(data); err != nil || text != c.want {
			t.Errorf("%s is %s, want %s (%v)", name, text, c.want, err)
		}
	}
}

// FuzzCheckName: a name that is taken can be read back from its key.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"", "a", "caf\u00e9", "\x7f", "\u2029", "\xff", strings.Repeat("\u20ac", 128)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if script.CheckName(name) != nil {
			return
		}
		w := newWorld(t)
		if err := w.do(edit(put, name, "")); err != nil {
			t.Fatal(err)
		}
		if list, err := script.List(w.b, 7); err != nil || len(list) != 1 || list[0].Name != name {
			t.Errorf("%q is %v, %v", name, list, err)
		}
	})
}
