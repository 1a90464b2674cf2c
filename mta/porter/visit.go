package porter

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/policy"
)

// suspicious is the score from which on a client waits for our greeting, so that it can show that it does.
const suspicious = 1.5

// Visit is one connection. Its methods are called by one goroutine. On one of who is let in unseen they do nothing.
type Visit struct {
	p             *Porter
	rules         Rules
	remote, local netip.Addr
	unseen        bool
	trusted       bool

	reverse   policy.Reverse
	listScore float64
	standing  []inbound.Finding // of the connection: of its address, its lists, and its manners
	greeting  []inbound.Finding
	mail      []inbound.Finding // of the transaction
	sender    string            // of the transaction
	greylist  inbound.Finding   // of the transaction; the zero Finding before a recipient was looked at
}

// Begin looks at a client before it is greeted. A reply turns it away.
func (p *Porter) Begin(ctx context.Context, remote, local netip.Addr) (*Visit, *mta.Reply) {
	v := &Visit{p: p, rules: p.c.Rules(), remote: remote.Unmap().WithZone(""), local: local.Unmap().WithZone("")}
	if v.unseen = !remote.IsValid() || v.rules.Unchecked(v.remote); v.unseen {
		return v, nil
	}
	now := p.c.Clock()
	if until, reason, banned := p.c.Guard.Banned(v.remote); banned {
		p.c.Count(Banned)
		p.c.Logger.Info("a banned network is turned away", "remote", v.remote, "until", until, "reason", reason)
		return v, keptOut(v.remote, until, now)
	}
	v.trusted = v.rules.Trusted(v.remote)
	if r := v.count(connections, 421, now); r != nil {
		return v, r
	}
	v.look(ctx)
	return v, nil
}

// look asks for the names of the client and what lists say of it.
func (v *Visit) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, v.p.c.Ask)
	defer cancel()
	var asking sync.WaitGroup
	if v.rules.Reverse != policy.Off {
		asking.Go(func() { v.reverse = v.p.reverse(ctx, v.remote) })
	}
	var listed []inbound.Finding
	asking.Go(func() { listed, v.listScore = v.p.listed(ctx, v.remote, v.rules.Lists) })
	asking.Wait()
	f, _ := policy.JudgeReverse(v.remote, v.reverse, v.rules.Reverse) // what it refuses is refused at MAIL
	v.standing = appendFound(v.standing, f)
	v.standing = append(v.standing, listed...)
}

// appendFound appends a finding, unless it is none.
func appendFound(list []inbound.Finding, f inbound.Finding) []inbound.Finding {
	if f.Check == "" {
		return list
	}
	return append(list, f)
}

// Patience is how long the client is to wait for our greeting; whoever speaks meanwhile is told of by Early. Only the suspicious
// wait; who is below 0 is not even listened to.
func (v *Visit) Patience() time.Duration {
	switch {
	case v.unseen || v.rules.Early == policy.Off:
		return -1
	case v.Score() < suspicious:
		return 0
	}
	return v.p.c.Patience
}

// Early is told that the client did not wait for its turn; what says how: "spoke before the greeting". A reply ends the
// connection.
func (v *Visit) Early(what string) *mta.Reply {
	if v.unseen {
		return nil
	}
	f, r := policy.JudgeEarly(what, v.rules.Early)
	v.standing = appendFound(v.standing, f)
	if r != nil {
		v.p.c.Count(Early)
	}
	return r
}

// Hello looks at a greeting. A reply refuses it.
func (v *Visit) Hello(ctx context.Context, name string) *mta.Reply {
	v.Reset()
	if v.greeting = nil; v.unseen || v.rules.Hello == policy.Off {
		return nil
	}
	h := policy.Hello{Name: name, Remote: v.remote, Local: v.local, Ours: v.rules.Ours(strings.ToLower(strings.TrimSuffix(name, ".")))}
	ctx, cancel := context.WithTimeout(ctx, v.p.c.Ask)
	defer cancel()
	h.State, h.Leads = v.p.hello(ctx, name)
	f, r := policy.JudgeHello(h, v.rules.Hello)
	if v.greeting = appendFound(v.greeting, f); r != nil {
		v.p.c.Count(Greeting)
	}
	return r
}

// Mail looks at a sender. A reply refuses it.
func (v *Visit) Mail(ctx context.Context, from string) *mta.Reply {
	v.Reset()
	if v.sender = strings.ToLower(from); v.unseen {
		return nil
	}
	if _, r := policy.JudgeReverse(v.remote, v.reverse, v.rules.Reverse); r != nil {
		v.p.c.Count(Nameless)
		return r
	}
	if r := v.count(messages, 451, v.p.c.Clock()); r != nil {
		return r
	}
	domain := policy.DomainOf(from)
	if v.rules.Sender == policy.Off || domain == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, v.p.c.Ask)
	defer cancel()
	f, r := policy.JudgeSender(v.p.sender(ctx, domain), v.rules.Sender)
	if v.mail = appendFound(v.mail, f); r != nil {
		v.p.c.Count(Sender)
	}
	return r
}

// Add adds what others found of the transaction, such as SPF, to what makes a client suspicious. Findings does not give it
// back.
func (v *Visit) Add(f inbound.Finding) {
	f.Check = added + f.Check
	v.mail = append(v.mail, f)
}

// added marks findings of others.
const added = "+"

// Rcpt looks at a recipient that there is. A reply refuses it.
func (v *Visit) Rcpt(_ context.Context, to string) *mta.Reply {
	if v.unseen {
		return nil
	}
	now := v.p.c.Clock()
	if r := v.count(recipients, 451, now); r != nil {
		return r
	}
	if local, _, _ := strings.Cut(to, "@"); strings.EqualFold(local, "postmaster") {
		return nil // who is refused by mistake has to be able to say so (RFC 5321, section 4.5.1)
	}
	if v.rules.ListRefuse > 0 && v.listScore >= v.rules.ListRefuse {
		v.p.c.Count(Listed)
		return mta.Replyf(550, mta.NotAuthorized, "%s; write to postmaster if that is wrong", v.listDetail())
	}
	return v.comeAgain(to, now)
}

// listDetail says by which list the client is refused.
func (v *Visit) listDetail() string {
	for _, f := range v.standing {
		if f.Check == "dnsbl" && f.Score > 0 {
			return f.Detail
		}
	}
	return "Your address is on a list"
}

// comeAgain has a suspicious client come again.
func (v *Visit) comeAgain(to string, now time.Time) *mta.Reply {
	if v.rules.GreylistScore <= 0 || v.Score() < v.rules.GreylistScore {
		return nil
	}
	sender := policy.DomainOf(v.sender)
	if sender == "" {
		sender = v.sender
	}
	verdict := v.p.c.Greylist.Try(v.remote, sender, to, v.rules.Greylist, now)
	v.p.c.News()
	v.greylist = inbound.Finding{Check: "greylist", Result: "pass", Detail: verdict.Why}
	if verdict.Pass {
		return nil
	}
	v.greylist.Result = "fail"
	v.p.c.Count(Greylisted)
	return mta.Replyf(451, mta.TempNotNow, "You are not known here yet: try again in %s", policy.Wait(int(verdict.Wait/time.Second)))
}

// Unknown is told of a recipient that there is not; it waits longer each time that the network tries one.
func (v *Visit) Unknown(ctx context.Context, to string) {
	if v.unseen || v.trusted {
		return
	}
	wait := v.p.c.Guard.Probed(v.remote, to)
	if wait <= 0 {
		return
	}
	v.p.c.Count(Slowed)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-v.p.ctx.Done():
	}
}

// Taken is told that the transaction's message was taken for recipients: who hands over mail is not one who tries names.
func (v *Visit) Taken(to []string) {
	if v.unseen || v.trusted {
		return
	}
	for _, r := range to {
		v.p.c.Guard.Welcome(v.remote, r)
	}
}

// Reset ends the transaction.
func (v *Visit) Reset() { v.mail, v.sender, v.greylist = nil, "", inbound.Finding{} }

// Findings are those of the connection and of the transaction so far.
func (v *Visit) Findings() []inbound.Finding {
	list := slices.Concat(v.standing, v.greeting, v.mail)
	list = slices.DeleteFunc(list, func(f inbound.Finding) bool { return strings.HasPrefix(f.Check, added) })
	return appendFound(list, v.greylist)
}

// Suspicions are all that counts so far, what others found among it: for who is refused before the message comes.
func (v *Visit) Suspicions() []inbound.Finding {
	list := slices.Concat(v.standing, v.greeting, v.mail)
	for i := range list {
		list[i].Check = strings.TrimPrefix(list[i].Check, added)
	}
	return appendFound(list, v.greylist)
}

// Score is the sum of what was found so far.
func (v *Visit) Score() (score float64) {
	for _, f := range slices.Concat(v.standing, v.greeting, v.mail) {
		score += f.Score
	}
	return score
}

// Reverse is what DNS says of the client's address.
func (v *Visit) Reverse() policy.Reverse { return v.reverse }
