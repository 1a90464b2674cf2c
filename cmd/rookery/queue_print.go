package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func printQueue(p *printer, l adminapi.QueueListing) {
	p.row("ID", "AGE", "SIZE", "FROM", "TO", "NEXT", "TRIED", "LAST REPLY")
	for _, e := range l.Entries {
		to, next, tried, last := "", "", "", ""
		if len(e.Recipients) > 0 {
			r := e.Recipients[0]
			to, next, tried = r.Address, nextTry(e, r), fmt.Sprint(r.Attempts)
			if r.Last != nil {
				last = short(r.Last.Reply, 80)
			}
		}
		if e.Open > 1 {
			to += fmt.Sprintf(" and %d more", e.Open-1)
		}
		p.row(e.ID, age(e.Received), octets(e.Size), bracketed(e.Sender), to, next, tried, last)
	}
	if more := l.Matched - len(l.Entries); more > 0 {
		p.line("\n%d entries, of which the oldest %d are shown.", l.Matched, len(l.Entries))
	} else {
		p.line("\n%d entries.", l.Matched)
	}
	printProblems(p, l.Problems)
}

// nextTry says when a recipient is tried next.
func nextTry(e adminapi.QueueEntry, r adminapi.QueueRecipient) string {
	now := time.Now()
	switch {
	case e.ReturnedWhy != "":
		return "being returned"
	case e.Held:
		return "held"
	case r.State == "trying":
		return "now"
	case r.ClosedUntil.After(r.Due):
		return "in " + until(now, r.ClosedUntil)
	case r.Due.After(now):
		return "in " + until(now, r.Due)
	}
	return "due"
}

func until(now, t time.Time) string {
	return brief(t.Sub(now))
}

// age is how long ago something was.
func age(t time.Time) string { return brief(time.Since(t)) }

// brief is a duration in its largest unit or two.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0)/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
	return fmt.Sprintf("%dd%dh", int(d/(24*time.Hour)), int(d%(24*time.Hour)/time.Hour))
}

func bracketed(address string) string { return "<" + address + ">" }

// short is the beginning of a text.
func short(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

func printQueueEntry(p *printer, e adminapi.QueueEntry) {
	p.row("entry", e.ID)
	p.row("account", e.Account)
	p.row("from", bracketed(e.Sender))
	p.row("size", octets(e.Size))
	p.row("received", fmt.Sprintf("%s, %s ago", stamp(e.Received), age(e.Received)))
	p.row("given up", stamp(e.Expires))
	p.row("transaction", e.Transaction)
	if e.MessageID != "" {
		p.row("message-id", e.MessageID)
	}
	if e.Priority != 0 {
		p.row("priority", e.Priority)
	}
	if e.RequireTLS {
		p.row("requires", "TLS at every hop")
	}
	switch {
	case e.ReturnedWhy != "":
		p.row("returned", e.ReturnedWhy)
	case e.Held:
		p.row("held", e.HeldWhy)
	}
	p.row("recipients", fmt.Sprintf("%d of %d are open", e.Open, e.Total))
	for _, r := range e.Recipients {
		p.line("\n%s", r.Address)
		p.row("  next", nextTry(e, r))
		p.row("  attempts", r.Attempts)
		if r.Failures > 0 {
			p.row("  "+r.Destination, fmt.Sprintf("%d attempts in a row reached nobody", r.Failures))
		}
		if a := r.Last; a != nil {
			p.row("  last", fmt.Sprintf("%s, by node %s", stamp(a.At), a.Node))
			if a.Host != "" {
				p.row("  host", strings.TrimSpace(a.Host+" "+a.Address+" "+a.TLS))
			}
			p.row("  said", a.Reply)
		}
	}
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

func printQueueSummary(p *printer, s adminapi.QueueSummary, limit int) {
	p.row("DESTINATION", "WAITING", "HELD", "5m", "30m", "2h", "8h", "1d", "OLDER", "OLDEST", "CLOSED", "LAST ERROR")
	shown := s.Destinations[:min(len(s.Destinations), max(limit, 0))]
	for _, d := range shown {
		closed := "-"
		if d.ClosedUntil.After(time.Now()) {
			closed = "for " + until(time.Now(), d.ClosedUntil)
		}
		a := d.Ages
		p.row(d.Destination, d.Waiting, d.Held, a[0], a[1], a[2], a[3], a[4], a[5], age(d.Oldest), closed, short(d.LastError, 60))
	}
	if more := len(s.Destinations) - len(shown); more > 0 {
		p.line("… and %d more destinations", more)
	}
	p.line("\n%d entries, %d of them held.", s.Entries, s.Held)
	printProblems(p, s.Problems)
}
