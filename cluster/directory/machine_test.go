package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cluster/exactlyonce"
)

var _ exactlyonce.Machine = (*directory.Machine)(nil)

// TestUnknownKind holds that a command of a later version stops the group instead of being skipped.
func TestUnknownKind(t *testing.T) {
	for _, kind := range []command.Kind{0, 0x0100, 0x01ff, command.Deliver} {
		result, err := directory.New().Execute(&directorytest.Store{}, command.Command{Kind: kind})
		if result != nil || !errors.Is(err, command.ErrFormat) {
			t.Errorf("%v: %x, %v", kind, result, err)
		}
	}
}

// TestThroughLog executes commands as the group does, wrapped for exactly once: what is sent twice is
// answered as the first time and changes nothing.
func TestThroughLog(t *testing.T) {
	store, machine := &directorytest.Store{}, exactlyonce.New(directory.New())
	if err := machine.Restored(store); err != nil {
		t.Fatal(err)
	}
	var first, second [][]byte
	for i, c := range every(t) {
		c.ID = cluster.CommandID{byte(i + 1)}
		data := c.Append(nil)
		for n, results := range []*[][]byte{&first, &second} {
			got, err := machine.Apply(store, []cluster.Entry{{Index: cluster.LogIndex(2*i + n + 1), Data: data}})
			if err != nil {
				t.Fatal(err)
			}
			*results = append(*results, got...)
		}
	}
	for i := range first {
		if !bytes.Equal(first[i], second[i]) {
			t.Errorf("command %d was answered %x, then %x", i, first[i], second[i])
		}
	}
	accounts, err := directory.View{R: store}.Accounts("", "", 0)
	if err != nil || len(accounts) != 2 {
		t.Errorf("%d accounts, %v; want 2", len(accounts), err)
	}
}

func TestWatch(t *testing.T) {
	m := directory.New()
	a, stopA := m.Watch()
	b, stopB := m.Watch()
	has := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	if has(a) {
		t.Error("woken by nothing")
	}
	m.Committed(1)
	m.Committed(2)
	if !has(a) || has(a) || !has(b) {
		t.Error("two changes are not one token for each watcher")
	}
	stopA()
	stopA()
	if err := m.Restored(&directorytest.Store{}); err != nil {
		t.Fatal(err)
	}
	if has(a) || !has(b) {
		t.Error("a snapshot wakes the wrong ones")
	}
	stopB()
}

func TestHash(t *testing.T) {
	h := directory.HashOf([]byte("secret"))
	if !h.Matches([]byte("secret")) || h.Matches([]byte("Secret")) || (directory.Hash{}).Matches(nil) {
		t.Error("a hash matches what it should not, or not what it should")
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "1": 1, "7 b": 7, "1k": 1 << 10, "1 KB": 1 << 10, "64KiB": 64 << 10, "50mib": 50 << 20, "3G": 3 << 30, "2TiB": 2 << 40,
	} {
		got, err := directory.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
		if back, err := directory.ParseSize(directory.FormatSize(got)); err != nil || back != got {
			t.Errorf("%d is written as %q and read as %d, %v", got, directory.FormatSize(got), back, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "1.5g", "1x", "1kk", "1ki", "9223372036854775807k", "1 2"} {
		if n, err := directory.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d", text, n)
		}
	}
}

// TestSettingsTable holds SETTINGS.md against the table in the code, and each default against its own
// rules.
func TestSettingsTable(t *testing.T) {
	var want bytes.Buffer
	fmt.Fprint(&want, "# Settings of the cluster\n\nMade from `settings.go` by `go test -update`. They are replicated: set once, on any node.\n\n")
	fmt.Fprint(&want, "| name | form | default | what |\n|---|---|---|---|\n")
	last := ""
	for _, d := range directory.Definitions() {
		if canonical, err := directory.ParseSetting(d.Name, d.Default); err != nil || canonical != d.Default {
			t.Errorf("the default of %s is read as %q, %v", d.Name, canonical, err)
		}
		if d.Name <= last {
			t.Errorf("%s is out of order", d.Name)
		}
		last = d.Name
		shown := d.Default
		if shown == "" {
			shown = "(empty)"
		}
		fmt.Fprintf(&want, "| `%s` | %s | `%s` | %s |\n", d.Name, d.Form, shown, d.Meaning)
	}
	golden(t, "SETTINGS.md", want.Bytes())
}

// TestSettingOfAnotherVersion holds that a value this build cannot read does not stop mail.
func TestSettingOfAnotherVersion(t *testing.T) {
	d := directorytest.New(t)
	c, err := directory.SetSetting("max_recipients", "500")
	if err != nil {
		t.Fatal(err)
	}
	c.Payload = bytes.Replace(c.Payload, []byte("500"), []byte("lot"), 1)
	d.Must(t)(c, nil)
	s, err := d.View().Settings()
	if err != nil || s.MaxRecipients != 1000 {
		t.Errorf("max_recipients is %d, %v; want the default", s.MaxRecipients, err)
	}
}

// BenchmarkResolve is a recipient in a directory of 10,000 accounts.
func BenchmarkResolve(b *testing.B) {
	d := directorytest.New(b, "example.com")
	for i := range 10_000 {
		d.AddAccount(b, fmt.Sprintf("user%05d@example.com", i), "")
	}
	v := d.View()
	for _, c := range []struct{ name, address string }{{"exact", "user05000@example.com"}, {"subaddress", "User05000+list@example.com"}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Resolve(c.address); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
