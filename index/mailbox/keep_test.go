package mailbox_test

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

func (d *driver) keep(id uint64) {
	a, b, m, uids := d.opened(id)
	cmd := &indexpb.KeepExpungedCommand{Limits: d.limits(), Expunge: &indexpb.ExpungeCommand{
		Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Uids: uids, OnlyDeleted: true}}
	res := d.do(command.KeepExpunged, cmd)
	before := maps.Clone(b.messages)
	gone := a.expunge(b, b.selected(uids[0].Lo, uids[0].Hi))
	for _, u := range gone {
		d.model.keep(id, m.Name, before[u], cmd.Limits)
	}
	d.same("keep", []any{flat(res.Changed), res.ModSeq}, []any{gone, a.modSeq})
}

func (d *driver) keepDeleted(id uint64) {
	name := draw(d, "deleted", "A", "A/B", "Sent", "B")
	limits := d.limits()
	res := d.do(command.KeepDeleted, &indexpb.KeepDeletedCommand{Delete: &indexpb.DeleteMailboxCommand{Account: id, Name: name}, Limits: limits})
	a := d.model.account(id)
	b := a.boxes[name]
	if b == nil {
		d.same("delete and keep", res.Code, indexpb.Code_CODE_NO_MAILBOX)
		return
	}
	delete(a.boxes, name)
	if b.subscribed {
		a.subs[name] = true
	}
	d.same("delete and keep", []any{res.Code, res.ModSeq}, []any{indexpb.Code_CODE_OK, a.bump()})
	g := modelGrave{account: id, id: uint64(b.id), name: name, limits: limits}
	for _, u := range b.selected(1, 1000) {
		g.messages = append(g.messages, b.messages[u])
	}
	if len(g.messages) > 0 {
		d.model.waiting = append(d.model.waiting, g)
		slices.SortFunc(d.model.waiting, func(x, y modelGrave) int {
			return cmp.Or(cmp.Compare(x.account, y.account), cmp.Compare(x.id, y.id))
		})
	}
}

func (d *driver) drainKept() bool {
	for _, a := range d.model.accounts {
		a.bumped = false
	}
	more := d.do(command.DrainKept, &indexpb.DrainGraveyardCommand{Limit: 2}).More
	d.same("more to keep", more, d.model.drainKept(2))
	return more
}

func (d *driver) undelete(id uint64) {
	kept := id | keptBit
	if d.model.accounts[kept] == nil {
		return
	}
	from, b, m, uids := d.opened(kept)
	cmd := &indexpb.CopyCommand{Account: id, MailboxId: b.id, UidValidity: m.UIDValidity, Uids: uids, To: d.name(), Limits: d.limits()}
	res := d.do(command.Undelete, cmd)
	a, chosen := d.model.account(id), b.selected(uids[0].Lo, uids[0].Hi)
	bytes := uint64(0)
	for _, u := range chosen {
		bytes += uint64(b.messages[u].size)
	}
	if !a.fits(cmd.Limits, uint64(len(chosen)), bytes) {
		d.same("undelete", res.Code, indexpb.Code_CODE_OVER_QUOTA)
		return
	}
	to := a.boxes[cmd.To]
	if to == nil {
		to = a.make(cmd.To, false)
	}
	var made []uint32
	for _, u := range chosen {
		msg := b.messages[u]
		made = append(made, a.file(to, &modelMessage{flags: msg.flags &^ uint32(index.FlagDeleted), keywords: maps.Clone(msg.keywords), size: msg.size}))
		from.take(b, u)
	}
	d.same("undelete", []any{res.Code, flat(res.From), flat(res.To), res.ModSeq}, []any{indexpb.Code_CODE_OK, chosen, made, a.modSeq})
}

// TestDropAccountDropsKeptMail: what was kept goes too, and what waits to be.
func TestDropAccountDropsKeptMail(t *testing.T) {
	w := newWorld(t)
	cmd := &indexpb.DeliverCommand{}
	cmd.Body, cmd.Summary = inline(5)
	for _, name := range []string{"INBOX", "A", "A", "B"} {
		cmd.Targets = append(cmd.Targets, &indexpb.DeliverTarget{Account: 1, Mailbox: name})
	}
	out := w.do(command.Deliver, cmd).Targets
	w.do(command.KeepExpunged, &indexpb.KeepExpungedCommand{Expunge: &indexpb.ExpungeCommand{
		Account: 1, MailboxId: 1, UidValidity: out[0].UidValidity, Uids: span(1, 1)}})
	for _, name := range []string{"A", "B"} {
		w.do(command.KeepDeleted, &indexpb.KeepDeletedCommand{Delete: &indexpb.DeleteMailboxCommand{Account: 1, Name: name}})
	}
	if !w.do(command.DrainKept, &indexpb.DrainGraveyardCommand{Limit: 1}).More {
		t.Fatal("three messages were filed in a step of one")
	}
	if u, ok, err := mailbox.Account(w.b, mailbox.KeptOf(1)); err != nil || !ok || u.Messages != 2 {
		t.Fatalf("kept %+v: %v, %v", u, ok, err)
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	w.do(command.DropAccount, &indexpb.DropAccountCommand{Account: 1})
	for w.do(command.DrainGraveyard, &indexpb.DrainGraveyardCommand{}).More {
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	if left := string(dump(t, w.b)); strings.Contains(left, "\n1a00") || bytes.Contains([]byte(left), []byte("\n10")) {
		t.Fatalf("bodies or accounts are left:\n%s", left)
	}
}

// TestKeptMailIsNoOnesToExpunge: the commands that keep take no kept account, whose mail would be kept again.
func TestKeptMailIsNoOnesToExpunge(t *testing.T) {
	w := newWorld(t)
	kept := uint64(mailbox.KeptOf(1))
	for what, res := range map[string]*indexpb.Result{
		"expunge":  w.do(command.KeepExpunged, &indexpb.KeepExpungedCommand{Expunge: &indexpb.ExpungeCommand{Account: kept, MailboxId: 1}}),
		"delete":   w.do(command.KeepDeleted, &indexpb.KeepDeletedCommand{Delete: &indexpb.DeleteMailboxCommand{Account: kept, Name: "Sent"}}),
		"undelete": w.do(command.Undelete, &indexpb.CopyCommand{Account: kept, MailboxId: 1, To: "A"}),
		"nothing":  w.do(command.KeepExpunged, &indexpb.KeepExpungedCommand{}),
	} {
		if res.Code != indexpb.Code_CODE_INVALID {
			t.Errorf("%s: %v", what, res)
		}
	}
	if got := string(dump(t, w.b)); got != "" {
		t.Errorf("they left\n%s", got)
	}
}
