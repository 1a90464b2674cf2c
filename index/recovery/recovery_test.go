package recovery

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/index"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// whole holds that everything of the lost cluster is there, in its order.
func (f *found) whole() {
	f.t.Helper()
	inbox := f.messages("ada@example.org", "INBOX")
	if len(inbox) != 72 { // 70 without the one that was expunged, one shared with bob, two alike
		f.t.Errorf("%d messages in ada's INBOX, want 72: %v", len(inbox), inbox)
		return
	}
	for i, want := range map[int]string{
		0: "100 at 01 12:01 flags=3 []", 1: "102 at 01 12:03 flags=1 [work]", 69: "200 at 01 13:11 flags=4 []",
		70: "300 at 01 13:30 flags=0 []", 71: "300 at 01 13:30 flags=0 []",
	} {
		if inbox[i] != want {
			f.t.Errorf("message %d is %q, want %q", i, inbox[i], want)
		}
	}
	for at, want := range map[[2]string]string{
		{"ada@example.org", "Gesendet/Größe"}: "201 at 01 12:01 flags=1 []",
		{"bob@example.net", "INBOX"}:          "200 at 01 12:01 flags=0 []",
		{"eve@example.org", "INBOX"}:          "100 at 01 12:04 flags=16 []",
	} {
		if got := f.messages(at[0], at[1]); !slices.Equal(got, []string{want}) {
			f.t.Errorf("%s has %q, want %q", at, got, want)
		}
	}
}

func TestRecover(t *testing.T) {
	bucket := object.NewMemory()
	lose(t, bucket)
	f := newFound(t)
	counted := object.NewCount(bucket)
	r := f.run(counted, nil)
	if r.Packs != 3 || r.PacksRead != 3 || r.Groups != 2 || r.GroupsDone != 2 || r.Accounts != 3 || r.AccountsDone != 3 ||
		r.Messages != 75 || r.Added != 75 || r.Present != 0 || r.Lost != 0 || len(r.Faults) != 0 {
		t.Errorf("%+v", r)
	}
	f.whole()
	f.mailboxes()
	// Three packs are read as manifests twice, with three requests and a Stat; then 75 bodies in a few runs.
	if gets := counted.Counts().Of(object.KindGet); gets > 30 {
		t.Errorf("%d GETs", gets)
	}
	again := f.run(bucket, nil)
	if again.Added != 0 || again.Present != 75 {
		t.Errorf("a second time: %+v", again)
	}
	f.whole()
}

func (f *found) mailboxes() {
	f.t.Helper()
	id, _ := f.account(f.t.Context(), "ada@example.org")
	boxes, err := f.store.Account(id).Mailboxes(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	sent := 0
	for _, box := range boxes {
		if box.SpecialUse == index.UseSent {
			sent++
			if box.Name != "Gesendet/Größe" || !box.Subscribed {
				f.t.Errorf("sent mail is in %+v", box)
			}
		}
	}
	if sent != 1 {
		f.t.Errorf("%d mailboxes for sent mail among %+v", sent, boxes)
	}
}

// TestBreak ends a recovery after each number of commands. The next one goes on, and nothing is there twice.
func TestBreak(t *testing.T) {
	bucket := object.NewMemory()
	lose(t, bucket)
	for commands := 0; ; commands++ {
		f := newFound(t)
		f.gate.open(commands)
		_, err := Run(t.Context(), f.config(bucket))
		f.gate.open(1 << 30)
		if err != nil && !errors.Is(err, errGate) {
			t.Fatal(err)
		}
		r := f.run(bucket, nil)
		if r.Added+r.Present != 75 || r.Lost != 0 {
			t.Errorf("after %d commands: %+v", commands, r)
		}
		f.whole()
		if err == nil {
			if commands < 5 {
				t.Errorf("%d commands are enough", commands)
			}
			return
		}
	}
}

// TestStoreAway: a store that goes away for a while holds the recovery up, for long ends it.
func TestStoreAway(t *testing.T) {
	memory := object.NewMemory()
	lose(t, memory)
	faulty := object.NewFault(memory)
	for after := range 30 {
		f := newFound(t)
		faulty.Set(object.Faults{Down: true, After: after})
		_, err := Run(t.Context(), f.config(faulty))
		if err != nil && !errors.Is(err, blobstore.ErrUnavailable) {
			t.Fatalf("after %d requests: %v", after, err)
		}
		faulty.Heal()
		if r := f.run(faulty, nil); r.Added+r.Present != 75 || r.Lost != 0 {
			t.Errorf("after %d requests: %+v", after, r)
		}
		f.whole()
	}
	for after := 9; after < 25; after++ { // behind list and survey
		f := newFound(t)
		faulty.Set(object.Faults{BreakGets: true, After: after, Times: 1})
		r, err := Run(t.Context(), f.config(object.NewRetry(faulty, object.RetryConfig{First: 1, Most: 1})))
		if err != nil || r.Added != 75 || r.Present != 0 {
			t.Errorf("one failure after %d requests: %+v, %v", after, r, err)
		}
		f.whole()
	}
}

func TestDamage(t *testing.T) {
	bucket := object.NewMemory()
	names := lose(t, bucket)
	// In the first pack: the body that the second has as well, and another one; of the third the footer.
	const headerOfFirst = 46
	for _, at := range []int64{headerOfFirst + 3, headerOfFirst + 700} {
		if !bucket.Flip(names[0], at) {
			t.Fatal("no such octet")
		}
	}
	info, err := bucket.Stat(t.Context(), names[2])
	if err != nil {
		t.Fatal(err)
	}
	bucket.Flip(names[2], info.Size-20)
	f := newFound(t)
	r := f.run(bucket, nil)
	if r.Added != 73 || r.Lost != 1 || r.PacksDamaged != 1 || len(r.Faults) != 2 {
		t.Errorf("%+v", r)
	}
	told := strings.Join(r.Faults, "\n")
	for _, word := range []string{names[0], names[2], "ada@example.org", "damaged"} {
		if !strings.Contains(told, word) {
			t.Errorf("%q is not in %s", word, told)
		}
	}
	if again := f.run(bucket, nil); again.Added != 0 || again.Present != 73 || again.Lost != 1 {
		t.Errorf("a second time: %+v", again)
	}
	// The store was lying only for a while.
	bucket.Flip(names[0], headerOfFirst+700)
	bucket.Flip(names[0], headerOfFirst+3)
	bucket.Flip(names[2], info.Size-20)
	if healed := f.run(bucket, nil); healed.Added != 2 || healed.Present != 73 || healed.Lost != 0 {
		t.Errorf("healed: %+v", healed)
	}
}

// TestOlderCopy: where the latest copy of a body is damaged, the one before serves, with the latest flags.
func TestOlderCopy(t *testing.T) {
	bucket := object.NewMemory()
	names := lose(t, bucket)
	bucket.Flip(names[1], 46+48+5) // the first body of the encrypted pack
	f := newFound(t)
	if r := f.run(bucket, nil); r.Added != 75 || r.Lost != 0 {
		t.Errorf("%+v", r)
	}
	f.whole()
}

func TestNoKey(t *testing.T) {
	bucket := object.NewMemory()
	names := lose(t, bucket)
	f := newFound(t)
	r := f.run(bucket, func(c *Config) { c.Keys = nil })
	if r.PacksDamaged != 1 || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], names[1]) || !strings.Contains(r.Faults[0], "0100000000000000") {
		t.Errorf("%+v", r)
	}
}

func TestKeptMail(t *testing.T) {
	bucket := object.NewMemory()
	lose(t, bucket)
	f := newFound(t)
	if r := f.run(bucket, func(c *Config) { c.Kept = true }); r.Added != 76 {
		t.Errorf("%+v", r)
	}
	inbox := f.messages("ada@example.org", "INBOX")
	if n := len(inbox); n != 73 || !strings.HasPrefix(inbox[n-1], "101 at ") {
		t.Errorf("%d messages, the last is %q", n, inbox[n-1])
	}
}

func TestDryRun(t *testing.T) {
	bucket := object.NewMemory()
	lose(t, bucket)
	f := newFound(t)
	f.gate.open(0)
	r := f.run(bucket, func(c *Config) { c.DryRun = true })
	if r.Messages != 75 || r.Accounts != 3 || r.Bytes == 0 || r.Added != 0 || len(f.accounts) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhich(t *testing.T) {
	bucket := object.NewMemory()
	f := newFound(t)
	if _, err := Run(t.Context(), f.config(bucket)); !errors.Is(err, ErrNothing) {
		t.Errorf("an empty bucket: %v", err)
	}
	put(t, bucket, 7, &blobstore.Manifest{Cluster: "new", Group: 1, Created: day(1)})
	if _, err := Run(t.Context(), f.config(bucket)); !errors.Is(err, ErrNothing) {
		t.Errorf("packs of this cluster: %v", err)
	}
	lose(t, bucket)
	if r := f.run(bucket, nil); r.Added != 75 {
		t.Errorf("packs of this cluster and another: %+v", r)
	}
	put(t, bucket, 9, &blobstore.Manifest{Cluster: "third", Group: 1, Created: day(1)})
	if _, err := Run(t.Context(), f.config(bucket)); !errors.Is(err, ErrWhich) || !strings.Contains(err.Error(), "old, third") {
		t.Errorf("packs of two: %v", err)
	}
	if r := f.run(bucket, func(c *Config) { c.Cluster = "old" }); r.Present != 75 {
		t.Errorf("packs of two, one named: %+v", r)
	}
	if _, err := Run(t.Context(), func() Config { c := f.config(bucket); c.Cluster = "fourth"; return c }()); !errors.Is(err, ErrWhich) {
		t.Errorf("packs of another: %v", err)
	}
}
