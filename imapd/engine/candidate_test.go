package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/search"
)

// TestEnvelopeMatches: the quick look at the encoded envelope rules out nothing that is there. Every piece of
// every value is looked for, and the same with a character more.
func TestEnvelopeMatches(t *testing.T) {
	var reader search.Reader
	seen := 0
	for _, name := range []string{"Ann Example", "", "J\xfcrgen", "Jürgen", "=?utf-8?Q?J=C3=BCrgen_M?=", " spaced ", strings.Repeat("long name ", 20)} {
		e := &indexpb.Envelope{Subject: []byte("Re: " + name + " WROTE"), MessageId: []byte("<1@EXAMPLE.org>"),
			From: []*indexpb.Address{{Name: []byte("Other"), Mailbox: []byte("x"), Host: []byte("y")}, {Name: []byte(name), Mailbox: []byte("Ann"), Host: []byte("example.ORG")}}}
		encoded, err := e.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range map[string]string{"subject": message.DecodeHeader(e.Subject), "message-id": string(e.MessageId),
			"from": fmt.Sprintf("%s <Ann@example.ORG>", message.DecodeHeader([]byte(name)))} {
			runes := []rune(value)
			for i := range runes {
				for j := i; j <= len(runes); j++ {
					for _, extra := range []string{"", "~"} {
						k := &criterion{op: wire.SearchHeader, field: field, text: search.Fold(string(runes[i:j]) + extra)}
						c := &candidate{summary: &access.Message{EncodedEnvelope: encoded}, reader: &reader}
						if got := c.envelopeMatches(k); got != (extra == "") {
							t.Fatalf("%s %q of %q: %v", field, k.text, value, got)
						}
						if reader.RulesOut(encoded, k.text) {
							seen++
						}
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("the quick look never ruled anything out")
	}
}

// TestBodyDecides: summaries are passed over only where they settle nothing.
func TestBodyDecides(t *testing.T) {
	leaf := func(c cost) criterion { return criterion{op: wire.SearchText, cost: c} }
	tree := func(op wire.SearchOp, keys ...criterion) criterion {
		c := criterion{op: op, keys: keys}
		for _, k := range keys {
			c.cost = max(c.cost, k.cost)
		}
		return c
	}
	for i, c := range []struct {
		k    criterion
		want bool
	}{
		{leaf(costBody), true},
		{leaf(costSummary), false},
		{tree(wire.SearchAnd, leaf(costSet), leaf(costFlags), leaf(costBody)), true},
		{tree(wire.SearchAnd, leaf(costSummary), leaf(costBody)), false},
		{tree(wire.SearchOr, leaf(costBody), leaf(costBody)), true},
		{tree(wire.SearchOr, leaf(costFlags), leaf(costBody)), false},
		{tree(wire.SearchNot, leaf(costBody)), true},
		{tree(wire.SearchAnd, leaf(costFlags), tree(wire.SearchNot, tree(wire.SearchAnd, leaf(costFlags), leaf(costBody)))), false},
	} {
		if got := c.k.bodyDecides(); got != c.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
}
