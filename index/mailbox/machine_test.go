package mailbox_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/state"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/index/uidset"
)

// TestMachineAgainstModel runs random commands through the machine and the model, compares their
// results, and after each run everything that can be read and every key's invariants.
func TestMachineAgainstModel(t *testing.T) {
	db := openState(t)
	rapid.Check(t, func(rt *rapid.T) { runAgainstModel(rt, db) })
}

func runAgainstModel(rt *rapid.T, db *state.DB) {
	b := db.Group(1).NewBatch()
	defer b.Close()
	d := &driver{
		Rand:  rt,
		world: world{b: b, p: partition.New(partition.Config{}), now: epoch},
		model: model{accounts: map[uint64]*modelAccount{}},
		packs: packs{objects: map[uint64][]byte{}},
	}
	if draw(d, "packed from the start", true, false) {
		d.do(command.SetBlobMode, &indexpb.SetBlobModeCommand{Mode: indexpb.BlobMode_BLOB_MODE_LISTING})
	}
	for range rapid.IntRange(1, 60).Draw(rt, "commands") {
		d.now = d.now.Add(time.Duration(rapid.IntRange(-2, 5).Draw(rt, "seconds")) * time.Second)
		for _, a := range d.model.accounts {
			a.bumped = false
		}
		d.step()
	}
	d.compare()
	for d.do(command.DrainGraveyard, &indexpb.DrainGraveyardCommand{Limit: 2}).More {
	}
	for d.drainKept() {
	}
	d.compare()
	d.compareBodies()
	d.comeHome()
}

// driver draws commands and gives them to both.
type driver struct {
	Rand *rapid.T
	world
	model model
	packs packs
}

func draw[T any](d *driver, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(d.Rand, label)
}

func (d *driver) name() string {
	return draw(d, "name", "INBOX", "A", "A/B", "A/B/C", "B", "B/A", "Sent", "INBOX/x")
}

func (d *driver) flags() uint32 { return uint32(draw(d, "flags", 0, 1, 8, 9, 4)) }

func (d *driver) keywords() []string {
	return draw(d, "keywords", nil, []string{"$a"}, []string{"$a", "$b"}, []string{"$b", "c", "$a"}, []string{"c"},
		[]string{"$b", "$a"}, []string{"$a", "$b", "c"}, []string{"c", "$b", "c"})
}

func (d *driver) limits() *indexpb.Limits {
	return draw(d, "limits", &indexpb.Limits{}, &indexpb.Limits{Messages: 5}, &indexpb.Limits{Bytes: 100})
}

func (d *driver) same(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.Rand.Fatalf("%s: %v, the model has %v", what, got, want)
	}
}

func (d *driver) step() {
	id := uint64(draw(d, "account", 1, 2))
	switch draw(d, "command", "deliver", "deliver", "append", "create", "delete", "rename", "subscribe", "store", "store",
		"copy", "move", "expunge", "replace", "drain", "grant", "grant", "key", "key", "keep", "keep", "drop mailbox", "drain kept", "undelete",
		"blobs", "blobs", "blobs", "blobs", "blobs", "blobs") {
	case "blobs":
		d.blobs()
	case "grant":
		d.grant(id)
	case "key":
		d.key(id)
	case "deliver":
		d.deliver(id)
	case "append":
		d.append(id)
	case "create", "delete", "rename", "subscribe":
		d.folders(id)
	case "store":
		d.store(id)
	case "copy":
		d.transfer(id, command.Copy)
	case "move":
		d.transfer(id, command.Move)
	case "expunge":
		d.expunge(id)
	case "replace":
		d.replace(id)
	case "keep":
		d.keep(id)
	case "drop mailbox":
		d.keepDeleted(id)
	case "drain kept":
		d.drainKept()
	case "undelete":
		d.undelete(id)
	case "drain":
		d.do(command.DrainGraveyard, &indexpb.DrainGraveyardCommand{Limit: 1})
	}
}

// grant changes rights; anybody but the owner may have some, with bits that are none refused.
func (d *driver) grant(id uint64) {
	_, b, m, _ := d.opened(id)
	cmd := &indexpb.SetACLCommand{Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Grantee: uint64(draw(d, "grantee", 0, 1, 2, 3, 9)),
		Op:     draw(d, "grant op", indexpb.FlagOp_FLAG_OP_SET, indexpb.FlagOp_FLAG_OP_ADD, indexpb.FlagOp_FLAG_OP_REMOVE),
		Rights: uint32(draw(d, "rights", 0, 1, 3, 0x7ff, 0x400, 0x800)), Gone: draw(d, "gone", nil, []uint64{9})}
	res := d.do(command.SetACL, cmd)
	if cmd.Grantee == id || cmd.Rights > 0x7ff {
		d.same("grant", res.Code, indexpb.Code_CODE_INVALID)
		return
	}
	d.same("grant", res.Code, indexpb.Code_CODE_OK)
	for _, gone := range cmd.Gone {
		delete(b.grants, gone)
	}
	switch old := b.grants[cmd.Grantee]; cmd.Op {
	case indexpb.FlagOp_FLAG_OP_ADD:
		b.grants[cmd.Grantee] = old | cmd.Rights
	case indexpb.FlagOp_FLAG_OP_REMOVE:
		b.grants[cmd.Grantee] = old &^ cmd.Rights
	default:
		b.grants[cmd.Grantee] = cmd.Rights
	}
	if b.grants[cmd.Grantee] == 0 {
		delete(b.grants, cmd.Grantee)
	}
}

// key gives a mailbox a key, another one, or takes all keys away; what is no key is refused.
func (d *driver) key(id uint64) {
	a, b, m, _ := d.opened(id)
	cmd := &indexpb.SetURLKeyCommand{Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Replace: rapid.Bool().Draw(d.Rand, "replace"),
		Key: bytes.Repeat([]byte{draw(d, "key", byte(1), 2, 3)}, draw(d, "key size", 32, 32, 32, 0, 31, 33))}
	want := indexpb.Code_CODE_OK
	switch draw(d, "keys", "one", "one", "all", "stale", "nonsense") {
	case "one":
		switch {
		case len(cmd.Key) != mailbox.URLKeySize:
			want = indexpb.Code_CODE_INVALID
		case cmd.Replace:
			b.key, b.resets = cmd.Key, b.resets+1
		case b.key == nil:
			b.key = cmd.Key
		}
	case "all":
		cmd = &indexpb.SetURLKeyCommand{Account: id}
		for _, box := range a.boxes {
			if box.key != nil {
				box.key, box.resets = nil, box.resets+1
			}
		}
	case "stale":
		if cmd.UidValidity++; len(cmd.Key) == mailbox.URLKeySize {
			want = indexpb.Code_CODE_UID_VALIDITY
		} else {
			want = indexpb.Code_CODE_INVALID
		}
	case "nonsense":
		cmd.MailboxId = 0
		want = indexpb.Code_CODE_INVALID
	}
	d.same("key", d.do(command.SetURLKey, cmd).Code, want)
}

// compareKey holds a mailbox's key against the model.
func (d *driver) compareKey(id uint64, m index.Mailbox, b *modelBox) {
	key, err := mailbox.URLKey(d.b, index.AccountID(id), m.ID)
	if err != nil {
		d.Rand.Fatal(err)
	}
	d.same("key of "+m.Name, []any{key, m.KeyResets}, []any{b.key, b.resets})
}

// compareGrants holds what is read of rights against the model, both ways of reading.
func (d *driver) compareGrants(id uint64, m index.MailboxID, b *modelBox) {
	grants, err := mailbox.ACL(d.b, index.AccountID(id), m)
	if err != nil {
		d.Rand.Fatal(err)
	}
	got := map[uint64]uint32{}
	for _, g := range grants {
		got[uint64(g.Grantee)] = uint32(g.Rights)
	}
	d.same("grants", got, b.grants)
	for _, other := range []uint64{1, 2, 3, 9} {
		var rights index.Rights
		err := mailbox.SharedWith(d.b, index.AccountID(id), index.AccountID(other), func(box index.MailboxID, r index.Rights) error {
			if box == m {
				rights = r
			}
			return nil
		})
		if err != nil {
			d.Rand.Fatal(err)
		}
		d.same("rights", uint32(rights), b.grants[other]|b.grants[0])
	}
}

func (d *driver) deliver(id uint64) {
	cmd := new(indexpb.DeliverCommand)
	cmd.Body, cmd.Summary = d.body(draw(d, "size", 0, 9, 25))
	for range rapid.IntRange(1, 3).Draw(d.Rand, "targets") {
		cmd.Targets = append(cmd.Targets, &indexpb.DeliverTarget{
			Account: id, Mailbox: d.name(), SystemFlags: d.flags(), Keywords: d.keywords(), Limits: d.limits()})
		id = 3 - id
	}
	res := d.do(command.Deliver, cmd)
	for i, t := range cmd.Targets {
		a := d.model.account(t.Account)
		if !a.fits(t.Limits, 1, cmd.Summary.Size) {
			d.same("over quota", res.Targets[i].Code, indexpb.Code_CODE_OVER_QUOTA)
			continue
		}
		b := a.boxes[t.Mailbox]
		if b == nil {
			b = a.make(t.Mailbox, false)
		}
		u := a.file(b, newModelMessage(t.SystemFlags, t.Keywords, cmd.Summary.Size))
		d.same("delivered", []any{res.Targets[i].Code, res.Targets[i].Uid, res.Targets[i].MailboxId}, []any{indexpb.Code_CODE_OK, u, b.id})
	}
}

func newModelMessage(flags uint32, keywords []string, size uint64) *modelMessage {
	m := &modelMessage{flags: flags, keywords: map[string]bool{}, size: int(size)}
	for _, k := range keywords {
		m.keywords[k] = true
	}
	return m
}

func (d *driver) append(id uint64) {
	cmd := &indexpb.AppendCommand{Account: id, Mailbox: d.name(), Limits: d.limits()}
	bytes := uint64(0)
	for range rapid.IntRange(1, 3).Draw(d.Rand, "messages") {
		in := &indexpb.AppendMessage{SystemFlags: d.flags(), Keywords: d.keywords()}
		in.Body, in.Summary = d.body(draw(d, "size", 1, 30))
		cmd.Messages, bytes = append(cmd.Messages, in), bytes+in.Summary.Size
	}
	res := d.do(command.Append, cmd)
	a := d.model.account(id)
	b := a.boxes[cmd.Mailbox]
	switch {
	case b == nil:
		d.same("append", res.Code, indexpb.Code_CODE_TRY_CREATE)
	case !a.fits(cmd.Limits, uint64(len(cmd.Messages)), bytes):
		d.same("append", res.Code, indexpb.Code_CODE_OVER_QUOTA)
	default:
		first := b.next
		for _, in := range cmd.Messages {
			a.file(b, newModelMessage(in.SystemFlags, in.Keywords, in.Summary.Size))
		}
		d.same("append", []any{res.Code, res.To, res.ModSeq}, []any{indexpb.Code_CODE_OK, span(first, b.next-1), a.modSeq})
	}
}

func (d *driver) folders(id uint64) {
	name := d.name()
	switch draw(d, "folders", "create", "delete", "rename", "subscribe") {
	case "create":
		res := d.do(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: id, Name: name})
		a := d.model.account(id)
		if a.boxes[name] != nil {
			d.same("create", res.Code, indexpb.Code_CODE_MAILBOX_EXISTS)
			return
		}
		d.same("create", []any{res.Code, res.MailboxId}, []any{indexpb.Code_CODE_OK, a.make(name, false).id})
	case "delete":
		res := d.do(command.DeleteMailbox, &indexpb.DeleteMailboxCommand{Account: id, Name: name})
		if name == index.Inbox {
			d.same("delete", res.Code, indexpb.Code_CODE_INVALID)
			return
		}
		a := d.model.account(id)
		b := a.boxes[name]
		if b == nil {
			d.same("delete", res.Code, indexpb.Code_CODE_NO_MAILBOX)
			return
		}
		delete(a.boxes, name)
		if b.subscribed {
			a.subs[name] = true
		}
		d.same("delete", []any{res.Code, res.ModSeq}, []any{indexpb.Code_CODE_OK, a.bump()})
	case "rename":
		to := d.name()
		res := d.do(command.RenameMailbox, &indexpb.RenameMailboxCommand{Account: id, From: name, To: to})
		if len(to) > len(name) && to[:len(name)+1] == name+"/" {
			d.same("rename", res.Code, indexpb.Code_CODE_INVALID)
			return
		}
		d.same(fmt.Sprintf("rename %s to %s", name, to), res.Code, d.model.account(id).rename(name, to))
	case "subscribe":
		on := rapid.Bool().Draw(d.Rand, "on")
		res := d.do(command.Subscribe, &indexpb.SubscribeCommand{Account: id, Name: name, Subscribe: on})
		d.model.account(id).subscribe(name, on)
		d.same("subscribe", res.Code, indexpb.Code_CODE_OK)
	}
}

// opened picks a mailbox, as a session has it open; ok is false where the machine refused it.
func (d *driver) opened(id uint64) (a *modelAccount, b *modelBox, m index.Mailbox, uids []*indexpb.UIDRange) {
	a = d.model.account(id)
	if a.bumped { // the account is new: the machine is to make it too
		d.do(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: id, Name: index.Inbox})
		a.bumped = false
	}
	name := draw(d, "open", slices.Sorted(maps.Keys(a.boxes))...)
	b = a.boxes[name]
	m, ok, err := mailbox.Load(d.b, index.AccountID(id), index.MailboxID(b.id))
	if err != nil || !ok {
		d.Rand.Fatalf("load %s: %v, %v", name, ok, err)
	}
	lo := rapid.Uint32Range(1, 6).Draw(d.Rand, "lo")
	return a, b, m, span(lo, lo+rapid.Uint32Range(0, 6).Draw(d.Rand, "length"))
}

func (d *driver) store(id uint64) {
	a, b, m, uids := d.opened(id)
	cmd := &indexpb.StoreFlagsCommand{Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Uids: uids,
		Op: indexpb.FlagOp(rapid.IntRange(1, 3).Draw(d.Rand, "op")), SystemFlags: d.flags(), Keywords: d.keywords()}
	if rapid.Bool().Draw(d.Rand, "conditional") {
		since := rapid.Uint64Range(0, a.modSeq).Draw(d.Rand, "since")
		cmd.UnchangedSince = &since
	}
	res := d.do(command.StoreFlags, cmd)
	changed, refused := a.store(b, b.selected(uids[0].Lo, uids[0].Hi), cmd.Op, cmd.SystemFlags, cmd.Keywords, cmd.UnchangedSince)
	d.same("store", []any{flat(res.Changed), flat(res.Modified), res.ModSeq}, []any{changed, refused, a.modSeq})
}

func (d *driver) transfer(id uint64, k command.Kind) {
	a, b, m, uids := d.opened(id)
	cmd := &indexpb.CopyCommand{Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Uids: uids, To: d.name(), Limits: d.limits()}
	res := d.do(k, cmd)
	to, chosen := a.boxes[cmd.To], b.selected(uids[0].Lo, uids[0].Hi)
	bytes := uint64(0)
	for _, u := range chosen {
		bytes += uint64(b.messages[u].size)
	}
	switch {
	case to == nil:
		d.same("transfer", res.Code, indexpb.Code_CODE_TRY_CREATE)
	case k == command.Copy && !a.fits(cmd.Limits, uint64(len(chosen)), bytes):
		d.same("transfer", res.Code, indexpb.Code_CODE_OVER_QUOTA)
	default:
		first := a.transfer(b, to, chosen, k == command.Move)
		var made []uint32
		for i := range chosen {
			made = append(made, first+uint32(i))
		}
		d.same("transfer", []any{res.Code, flat(res.From), flat(res.To), res.ModSeq}, []any{indexpb.Code_CODE_OK, chosen, made, a.modSeq})
	}
}

func (d *driver) expunge(id uint64) {
	a, b, m, uids := d.opened(id)
	res := d.do(command.Expunge, &indexpb.ExpungeCommand{Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Uids: uids, OnlyDeleted: true})
	gone := a.expunge(b, b.selected(uids[0].Lo, uids[0].Hi))
	d.same("expunge", []any{flat(res.Changed), res.ModSeq}, []any{gone, a.modSeq})
}

func (d *driver) replace(id uint64) {
	a, b, m, uids := d.opened(id)
	old := uids[0].Lo
	in := &indexpb.AppendMessage{SystemFlags: d.flags(), Keywords: d.keywords()}
	in.Body, in.Summary = d.body(draw(d, "size", 1, 30))
	cmd := &indexpb.ReplaceCommand{MailboxId: b.id, UidValidity: m.UIDValidity, Uid: old,
		Append: &indexpb.AppendCommand{Account: id, Mailbox: d.name(), Limits: d.limits(), Messages: []*indexpb.AppendMessage{in}}}
	res := d.do(command.Replace, cmd)
	to, msg := a.boxes[cmd.Append.Mailbox], b.messages[old]
	switch {
	case to == nil:
		d.same("replace", res.Code, indexpb.Code_CODE_TRY_CREATE)
	case msg == nil:
		d.same("replace", res.Code, indexpb.Code_CODE_NO_MESSAGE)
	case !a.fitsInstead(cmd.Append.Limits, uint64(msg.size), in.Summary.Size):
		d.same("replace", res.Code, indexpb.Code_CODE_OVER_QUOTA)
	default:
		u := a.file(to, newModelMessage(in.SystemFlags, in.Keywords, in.Summary.Size))
		a.take(b, old)
		d.same("replace", []any{res.Code, flat(res.To), flat(res.Changed), res.ModSeq},
			[]any{indexpb.Code_CODE_OK, []uint32{u}, []uint32{old}, a.modSeq})
	}
}

func flat(ranges []*indexpb.UIDRange) (uids []uint32) {
	for _, r := range ranges {
		for u := r.Lo; u <= r.Hi; u++ {
			uids = append(uids, u)
		}
	}
	return uids
}

// compare reads everything back.
func (d *driver) compare() {
	if err := mailbox.Verify(d.b); err != nil {
		d.Rand.Fatal(err)
	}
	for id, a := range d.model.accounts {
		all, err := mailbox.List(d.b, index.AccountID(id))
		if err != nil {
			d.Rand.Fatal(err)
		}
		names, validities := map[string]bool{}, map[uint32]bool{}
		for _, m := range all {
			names[m.Name] = true
			b := a.boxes[m.Name]
			if m.ID == 0 {
				d.same("subscription of "+m.Name, b == nil && a.subs[m.Name], true)
				continue
			}
			if b == nil || validities[m.UIDValidity] {
				d.Rand.Fatalf("mailbox %+v: not in the model, or its UIDVALIDITY is another's too", m)
			}
			validities[m.UIDValidity] = true
			d.same("mailbox "+m.Name, []any{m.ID, m.UIDNext, m.Subscribed, int(m.Messages)}, []any{b.id, b.next, b.subscribed, len(b.messages)})
			d.compareGrants(id, m.ID, b)
			d.compareKey(id, m, b)
			d.compareMessages(id, m, b)
		}
		d.same("names", len(names), len(a.boxes)+len(a.subs))
	}
}

func (d *driver) compareMessages(id uint64, m index.Mailbox, b *modelBox) {
	account := index.AccountID(id)
	everything := uidset.Of(index.UIDRange{Lo: 1, Hi: 1000})
	var got []string
	err := mailbox.WalkMessages(d.b, account, m.ID, everything, func(u index.UID, f *indexpb.FlagRecord, s *indexpb.Summary) error {
		words := slices.Sorted(slices.Values(mailbox.Words(m.Keywords, f)))
		got = append(got, fmt.Sprint(u, f.System, words, s.Size, f.ModSeq))
		return nil
	})
	if err != nil {
		d.Rand.Fatal(err)
	}
	var want []string
	for _, u := range b.selected(1, 1000) {
		msg := b.messages[u]
		want = append(want, fmt.Sprint(u, msg.flags, slices.Sorted(maps.Keys(msg.keywords)), msg.size, msg.modSeq))
	}
	d.same("messages of "+m.Name, got, want)
	since := rapid.Uint64Range(0, 20).Draw(d.Rand, "since")
	changed, err := mailbox.Changed(d.b, account, m.ID, index.ModSeq(since))
	if err != nil {
		d.Rand.Fatal(err)
	}
	gone, complete, err := mailbox.Vanished(d.b, account, m.ID, index.ModSeq(since))
	if err != nil || !complete {
		d.Rand.Fatal(complete, err)
	}
	var wantChanged, wantGone []index.UID
	for _, u := range b.selected(1, 1000) {
		if b.messages[u].modSeq > since {
			wantChanged = append(wantChanged, index.UID(u))
		}
	}
	for _, u := range slices.Sorted(maps.Keys(b.gone)) {
		if b.gone[u] > since {
			wantGone = append(wantGone, index.UID(u))
		}
	}
	d.same("changed and vanished", []any{slices.Collect(changed.All()), slices.Collect(gone.All())}, []any{wantChanged, wantGone})
}
