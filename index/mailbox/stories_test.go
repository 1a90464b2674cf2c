package mailbox_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/partition"
)

var update = flag.Bool("update", false, "rewrite golden files")

// dump is every key and value, as text.
func dump(t testing.TB, r kv.Reader) []byte {
	t.Helper()
	it, err := r.Scan([]byte{0x10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var out bytes.Buffer
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%x = %x\n", it.Key(), value)
	}
	return out.Bytes()
}

// story is a command of most kinds, for bytes and for determinism.
func (w *world) story() (all []command.Command) {
	add := func(k command.Kind, p payload) { all = append(all, w.encode(k, p)); w.now = w.now.Add(time.Second) }
	body, summary := inline(25)
	add(command.Deliver, &indexpb.DeliverCommand{Body: body, Summary: summary, Targets: []*indexpb.DeliverTarget{
		{Account: 7, DedupKey: []byte("0123456789abcdef"), Limits: &indexpb.Limits{Bytes: 1000}},
		{Account: 8, Mailbox: "Lists/Go", SystemFlags: 1, Keywords: []string{"$Work", "b"}},
	}})
	add(command.StageChunk, &indexpb.StageChunkCommand{UploadId: []byte("upload-0-1-2-3-4"), Seq: 1, Chunk: []byte{1}})
	add(command.StageChunk, &indexpb.StageChunkCommand{UploadId: []byte("upload-0-1-2-3-4"), Seq: 0, Chunk: []byte{2, 2}})
	add(command.StageChunk, &indexpb.StageChunkCommand{UploadId: []byte("abandoned-upload"), Seq: 0, Chunk: []byte{3}})
	staged := &indexpb.BodyInput{Size: 12, ChunkSize: 10, UploadId: []byte("upload-0-1-2-3-4")}
	add(command.Append, &indexpb.AppendCommand{Account: 7, Mailbox: "Drafts", Messages: []*indexpb.AppendMessage{
		{Summary: &indexpb.Summary{Size: 12}, Body: staged, SystemFlags: 16}}})
	add(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 7, Name: "A/B", SpecialUse: uint32(index.UseAll)})
	add(command.Subscribe, &indexpb.SubscribeCommand{Account: 7, Name: "Nowhere", Subscribe: true})
	v := uint32(epoch.Unix())
	add(command.Copy, &indexpb.CopyCommand{Account: 7, MailboxId: 1, UidValidity: v, Uids: span(1, 1), To: "A/B"})
	add(command.Move, &indexpb.CopyCommand{Account: 7, MailboxId: 1, UidValidity: v, Uids: span(1, 9), To: "Trash"})
	add(command.StoreFlags, &indexpb.StoreFlagsCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Uids: span(1, 1),
		Op: indexpb.FlagOp_FLAG_OP_ADD, SystemFlags: 8, Keywords: []string{"c"}})
	add(command.RenameMailbox, &indexpb.RenameMailboxCommand{Account: 7, From: "A", To: "C"})
	add(command.DeleteMailbox, &indexpb.DeleteMailboxCommand{Account: 7, Name: "C/B"})
	add(command.Expunge, &indexpb.ExpungeCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Uids: span(1, 1), OnlyDeleted: true, ForgetBefore: 1})
	add(command.DropUploads, &indexpb.DropUploadsCommand{UntouchedSince: epoch.Add(time.Hour).UnixMilli()})
	again, summary := inline(11)
	add(command.Replace, &indexpb.ReplaceCommand{MailboxId: 6, UidValidity: v + 5, Uid: 1, Append: &indexpb.AppendCommand{
		Account: 7, Mailbox: "Drafts", Messages: []*indexpb.AppendMessage{{Summary: summary, Body: again, SystemFlags: 16, Keywords: []string{"d"}}}}})
	limits := &indexpb.Limits{Bytes: 1000}
	add(command.KeepExpunged, &indexpb.KeepExpungedCommand{Limits: limits, Expunge: &indexpb.ExpungeCommand{
		Account: 7, MailboxId: 3, UidValidity: v + 2, Uids: span(2, 2)}})
	add(command.KeepDeleted, &indexpb.KeepDeletedCommand{Limits: limits, Delete: &indexpb.DeleteMailboxCommand{Account: 7, Name: "Drafts"}})
	add(command.DrainKept, &indexpb.DrainGraveyardCommand{Limit: 1})
	add(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 9, Name: "X"})
	drafts := uint32(3) // of the account that keeps account 7's
	add(command.Undelete, &indexpb.CopyCommand{Account: 7, MailboxId: drafts, UidValidity: uint32(w.now.Unix()) - 2, Uids: span(1, 1), To: "Drafts", Limits: limits})
	again, summary = inline(4)
	add(command.Deliver, &indexpb.DeliverCommand{Body: again, Summary: summary, Targets: []*indexpb.DeliverTarget{{Account: 9, Mailbox: "X", SystemFlags: 8, Keywords: []string{"k"}}}})
	add(command.KeepDeleted, &indexpb.KeepDeletedCommand{Limits: limits, Delete: &indexpb.DeleteMailboxCommand{Account: 9, Name: "X"}})
	add(command.SetACL, &indexpb.SetACLCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Grantee: 7, Op: indexpb.FlagOp_FLAG_OP_SET, Rights: uint32(index.RightLookup | index.RightRead)})
	add(command.SetACL, &indexpb.SetACLCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Op: indexpb.FlagOp_FLAG_OP_ADD, Rights: uint32(index.RightPost), Gone: []uint64{9}})
	add(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 8, Name: "Lists/Go/Nuts"})
	use := uint32(index.UseJunk)
	add(command.SetMetadata, &indexpb.SetMetadataCommand{Account: 8, Mailbox: "Lists", User: 8, SpecialUse: &use, Changes: []*indexpb.AnnotationChange{
		{Entry: "/shared/comment", Value: []byte("go")}, {Entry: "/private/comment", Value: []byte{}}, {Entry: "/private/none"}}})
	add(command.SetMetadata, &indexpb.SetMetadataCommand{Account: 8, User: 8, Changes: []*indexpb.AnnotationChange{
		{Entry: "/private/vendor/x", Value: []byte("account")}}})
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, mailbox.URLKeySize) }
	add(command.SetURLKey, &indexpb.SetURLKeyCommand{Account: 7, MailboxId: 1, UidValidity: v, Key: key(1)})
	add(command.SetURLKey, &indexpb.SetURLKeyCommand{Account: 7})
	add(command.SetURLKey, &indexpb.SetURLKeyCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Key: key(2)})
	add(command.SetURLKey, &indexpb.SetURLKeyCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Key: key(3)})
	add(command.SetURLKey, &indexpb.SetURLKeyCommand{Account: 8, MailboxId: 8, UidValidity: v + 7, Key: key(4), Replace: true})
	return all
}

// TestGolden pins the bytes of commands, of their results, and of the keys and records they leave.
func TestGolden(t *testing.T) {
	w := newWorld(t)
	w.golden(w.story(), "testdata/story.golden")
}

// golden executes commands and holds what they leave against a file.
func (w *world) golden(story []command.Command, path string) {
	t := w.t
	t.Helper()
	var out bytes.Buffer
	for _, c := range story {
		res, err := w.p.Execute(w.b, c)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v\n  command %x\n  result  %x\n", c.Kind, c.Append(nil), res)
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	out.Write(dump(t, w.b))
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Fatalf("durable bytes changed; now:\n%s", out.Bytes())
	}
}

// TestReplicasAgree executes one story in one batch, and in a batch for each command.
func TestReplicasAgree(t *testing.T) {
	one := newWorld(t)
	db := openState(t)
	many, p := db.Group(9), partition.New(partition.Config{})
	for _, c := range one.story() {
		if _, err := one.p.Execute(one.b, c); err != nil {
			t.Fatal(err)
		}
		b := many.NewBatch()
		if _, err := p.Execute(b, c); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Commit(c.Index), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	snap := many.Snapshot()
	defer snap.Close()
	if a, b := dump(t, one.b), dump(t, snap); !bytes.Equal(a, b) {
		t.Fatalf("one batch leaves\n%s\nmany leave\n%s", a, b)
	}
}

func TestOneBodyForManyTargets(t *testing.T) {
	w := newWorld(t)
	cmd := new(indexpb.DeliverCommand)
	cmd.Body, cmd.Summary = inline(30)
	for a := range uint64(50) {
		cmd.Targets = append(cmd.Targets, &indexpb.DeliverTarget{Account: a%5 + 1})
	}
	w.do(command.Deliver, cmd)
	if err := mailbox.Verify(w.b); err != nil { // 50 users of one body
		t.Fatal(err)
	}
	text := string(dump(t, w.b))
	if bodies, chunks := strings.Count(text, "\n1a00"), strings.Count(text, "\n1b00"); bodies != 1 || chunks != 3 {
		t.Fatalf("%d bodies, %d chunks", bodies, chunks)
	}
}

func TestDedupWindow(t *testing.T) {
	w := newWorld(t)
	send := func(key string) *indexpb.TargetResult {
		cmd := &indexpb.DeliverCommand{Targets: []*indexpb.DeliverTarget{{Account: 1, DedupKey: []byte(key)}}}
		cmd.Body, cmd.Summary = inline(5)
		return w.do(command.Deliver, cmd).Targets[0]
	}
	const key = "0123456789abcdef"
	first := send(key)
	w.now = w.now.Add(mailbox.DedupWindow - time.Second)
	if again := send(key); again.Code != indexpb.Code_CODE_DUPLICATE || again.Uid != first.Uid || again.MailboxId != first.MailboxId {
		t.Fatalf("within the window: %v", again)
	}
	w.now = w.now.Add(2 * time.Second)
	if later := send(key); later.Code != indexpb.Code_CODE_OK || later.Uid != first.Uid+1 {
		t.Fatalf("after the window: %v", later)
	}
	w.now = w.now.Add(2 * mailbox.DedupWindow)
	for i := range 40 {
		send(fmt.Sprintf("%016d", i))
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(dump(t, w.b), []byte(hex.EncodeToString([]byte(key)))) {
		t.Fatal("an expired delivery is still remembered")
	}
}

func TestUploads(t *testing.T) {
	w := newWorld(t)
	const id = "0123456789abcdef"
	stage := func(seq uint32) {
		if res := w.do(command.StageChunk, &indexpb.StageChunkCommand{UploadId: []byte(id), Seq: seq, Chunk: []byte{9}}); res.Code != 0 {
			t.Fatal(res)
		}
	}
	deliver := func() indexpb.Code {
		return w.do(command.Deliver, &indexpb.DeliverCommand{
			Summary: &indexpb.Summary{Size: 25}, Body: &indexpb.BodyInput{Size: 25, ChunkSize: 10, UploadId: []byte(id)},
			Targets: []*indexpb.DeliverTarget{{Account: 1}},
		}).Code
	}
	stage(2)
	stage(0)
	stage(0) // repeated: counts once
	if code := deliver(); code != indexpb.Code_CODE_NO_UPLOAD {
		t.Fatalf("an upload with a hole: %v", code)
	}
	stage(1)
	if code := deliver(); code != indexpb.Code_CODE_OK {
		t.Fatalf("whole: %v", code)
	}
	if code := deliver(); code != indexpb.Code_CODE_NO_UPLOAD {
		t.Fatalf("used twice: %v", code)
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
}

func TestUIDValidityAscendsThoughClocksGoBack(t *testing.T) {
	w := newWorld(t)
	last := uint32(0)
	for range 3 {
		w.now = w.now.Add(-time.Hour)
		w.do(command.DeleteMailbox, &indexpb.DeleteMailboxCommand{Account: 1, Name: "X"})
		res := w.do(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 1, Name: "X"})
		if res.UidValidity <= last {
			t.Fatalf("%d follows %d", res.UidValidity, last)
		}
		last = res.UidValidity
		stale := w.do(command.Expunge, &indexpb.ExpungeCommand{Account: 1, MailboxId: res.MailboxId - 1, UidValidity: last})
		if stale.Code != indexpb.Code_CODE_UID_VALIDITY {
			t.Fatalf("another mailbox's id: %v", stale)
		}
	}
}

func TestForgottenTombstones(t *testing.T) {
	w := newWorld(t)
	cmd := &indexpb.DeliverCommand{Targets: []*indexpb.DeliverTarget{
		{Account: 1, SystemFlags: uint32(index.FlagDeleted)}, {Account: 1, SystemFlags: uint32(index.FlagDeleted)}}}
	cmd.Body, cmd.Summary = inline(5)
	validity := w.do(command.Deliver, cmd).Targets[0].UidValidity
	expunge := func(uids []*indexpb.UIDRange, forget time.Time) uint64 {
		return w.do(command.Expunge, &indexpb.ExpungeCommand{Account: 1, MailboxId: 1, UidValidity: validity, Uids: uids,
			OnlyDeleted: true, ForgetBefore: forget.UnixMilli()}).ModSeq
	}
	first := expunge(span(1, 1), time.UnixMilli(0))
	w.now = w.now.Add(time.Hour)
	expunge(span(2, 2), epoch.Add(time.Minute))
	for since, want := range map[uint64]struct {
		gone     int
		complete bool
	}{first - 1: {1, false}, first: {1, true}} {
		gone, complete, err := mailbox.Vanished(w.b, 1, 1, index.ModSeq(since))
		if err != nil || gone.Len() != want.gone || complete != want.complete {
			t.Errorf("since %d: %d vanished, complete %v, %v", since, gone.Len(), complete, err)
		}
	}
}

// TestReplaceIsAllOrNothing: what is refused leaves the old message, and the old one's octets count as free.
func TestReplaceIsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	cmd := &indexpb.DeliverCommand{Targets: []*indexpb.DeliverTarget{{Account: 1}}}
	cmd.Body, cmd.Summary = inline(30)
	validity := w.do(command.Deliver, cmd).Targets[0].UidValidity
	for _, c := range []struct {
		uid, validity uint32
		to            string
		size          int
		want          indexpb.Code
	}{
		{2, validity, "Drafts", 20, indexpb.Code_CODE_NO_MESSAGE},
		{1, validity + 1, "Drafts", 20, indexpb.Code_CODE_UID_VALIDITY},
		{1, validity, "Nowhere", 20, indexpb.Code_CODE_TRY_CREATE},
		{1, validity, "Drafts", 41, indexpb.Code_CODE_OVER_QUOTA},
		{1, validity, "Drafts", 40, indexpb.Code_CODE_OK},
		{1, validity, "Drafts", 20, indexpb.Code_CODE_NO_MESSAGE},
	} {
		before := dump(t, w.b)
		in := &indexpb.AppendMessage{}
		in.Body, in.Summary = inline(c.size)
		res := w.do(command.Replace, &indexpb.ReplaceCommand{MailboxId: 1, UidValidity: c.validity, Uid: c.uid, Append: &indexpb.AppendCommand{
			Account: 1, Mailbox: c.to, Limits: &indexpb.Limits{Bytes: 40, Messages: 1}, Messages: []*indexpb.AppendMessage{in}}})
		if res.Code != c.want {
			t.Errorf("%+v: %v", c, res)
		}
		if res.Code != indexpb.Code_CODE_OK && !bytes.Equal(before, dump(t, w.b)) {
			t.Errorf("%+v changed keys", c)
		}
		if err := mailbox.Verify(w.b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDropAccount(t *testing.T) {
	w := newWorld(t)
	cmd := &indexpb.DeliverCommand{Targets: []*indexpb.DeliverTarget{{Account: 1}, {Account: 1, Mailbox: "A/B"}, {Account: 2}}}
	cmd.Body, cmd.Summary = inline(5)
	w.do(command.Deliver, cmd)
	w.do(command.DropAccount, &indexpb.DropAccountCommand{Account: 1})
	for w.do(command.DrainGraveyard, &indexpb.DrainGraveyardCommand{}).More {
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(dump(t, w.b), []byte("0000000000000001")) && strings.Contains(string(dump(t, w.b)), "\n110000000000000001") {
		t.Fatal("mailboxes of the account are left")
	}
	if _, ok, err := mailbox.Account(w.b, 1); ok || err != nil {
		t.Fatal("the account is left", err)
	}
}

// TestGrantsAreBounded: one more than allowed is refused and changes nothing, but those who are gone make
// room, and rights go with the mailbox.
func TestGrantsAreBounded(t *testing.T) {
	w := newWorld(t)
	made := w.do(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 1, Name: "A"})
	cmd := &indexpb.SetACLCommand{Account: 1, MailboxId: made.MailboxId, UidValidity: made.UidValidity, Op: indexpb.FlagOp_FLAG_OP_SET, Rights: 1}
	for i := range uint64(index.MaxGrants) {
		cmd.Grantee = 2 + (i*77+5)%1009 // in no order, and none twice
		if res := w.do(command.SetACL, cmd); res.Code != indexpb.Code_CODE_OK {
			t.Fatal(res)
		}
	}
	last := cmd.Grantee
	cmd.Grantee = 0
	before := dump(t, w.b)
	if res := w.do(command.SetACL, cmd); res.Code != indexpb.Code_CODE_TOO_MANY_GRANTS || !bytes.Equal(before, dump(t, w.b)) {
		t.Fatal("one more:", res)
	}
	cmd.Gone = []uint64{last}
	if res := w.do(command.SetACL, cmd); res.Code != indexpb.Code_CODE_OK {
		t.Fatal("in the place of one who is gone:", res)
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	w.do(command.DropAccount, &indexpb.DropAccountCommand{Account: 1})
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"inbox": "INBOX", "InBoX/a": "INBOX/a", "a/b/": "a/b", "e\u0301": "\u00e9", "inboxes": "inboxes",
		"": "", "/": "", "a//b": "", "/a": "", "a*": "", "a%": "", "a\x00": "", "a\x7f": "", "a\xff": "",
		strings.Repeat("x", 255): strings.Repeat("x", 255), strings.Repeat("x", 256): "",
		strings.Repeat("a/", 31) + "a": strings.Repeat("a/", 31) + "a", strings.Repeat("a/", 32) + "a": "",
	} {
		got, err := mailbox.CanonicalName(in)
		if got != want || (want == "") != errors.Is(err, index.ErrInvalidName) {
			t.Errorf("%q gives %q, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzPayload gives outside bytes to every kind: the answer is a result, never a panic or an error,
// and what it leaves is whole.
func FuzzPayload(f *testing.F) { fuzzPayload(f, (*world).story, 11) }

// FuzzBodiesPayload is FuzzPayload where bodies are in packs, and one pack waits for its body.
func FuzzBodiesPayload(f *testing.F) { fuzzPayload(f, (*world).bodiesStory, 13) }

// fuzzPayload gives outside bytes to every kind after the first commands of a story.
func fuzzPayload(f *testing.F, story func(*world) []command.Command, first int) {
	seeds := &world{t: f, now: epoch}
	for _, c := range story(seeds) {
		f.Add(uint16(c.Kind), c.Payload)
	}
	f.Add(uint16(command.Deliver), []byte("\xff\xff"))
	f.Add(uint16(command.DropAccount), []byte{8, 7})
	group := openState(f).Group(1)
	p, now := partition.New(partition.Config{}), seeds.now
	// The story is committed once: what each input is executed on is a batch over it, thrown away.
	begun := group.NewBatch()
	for _, c := range story(&world{t: f, now: epoch})[:first] {
		if _, err := p.Execute(begun, c); err != nil {
			f.Fatal(err)
		}
	}
	if err := errors.Join(begun.Commit(cluster.LogIndex(first)), begun.Close()); err != nil {
		f.Fatal(err)
	}
	snap := group.Snapshot()
	before := dump(f, snap)
	if err := snap.Close(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		if _, ok := command.Kind(kind).Since(); !ok || kind>>8 == 1 {
			t.Skip("not a command of partitions")
		}
		b := group.NewBatch()
		defer b.Close()
		// A machine of its own: one remembers what it wrote, and this is never committed.
		encoded, err := partition.New(partition.Config{}).Execute(b, command.Command{Kind: command.Kind(kind), Time: now, Payload: data})
		if err != nil {
			t.Fatal(err)
		}
		var res indexpb.Result
		if err := res.UnmarshalVT(encoded); err != nil {
			t.Fatal(err)
		}
		if err := mailbox.Verify(b); err != nil {
			t.Fatal(err)
		}
		if res.Code == indexpb.Code_CODE_INVALID && kind == uint16(command.StoreFlags) && !bytes.Equal(before, dump(t, b)) {
			t.Fatal("a refused store changed keys")
		}
	})
}
