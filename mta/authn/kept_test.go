package authn_test

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/rookery-mail/rookery/mta/authn"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/spf"
)

// What is found out does not depend on whether answers are kept, and what is kept is not asked again.
func TestKept(t *testing.T) {
	z := zoneOf(newKey(t, dkim.RSA, "example.org"))
	var asked atomic.Int64
	config := dns.Config{Servers: []string{"x"}, Clock: func() time.Time { return at }, Exchange: func(ctx context.Context, q *mdns.Msg, server string) (*mdns.Msg, error) {
		asked.Add(1)
		return z.Exchange(ctx, q, server)
	}}
	clock := func() time.Time { return at }
	lists := dns.Lists{Resolver: dns.New(config)}
	with := authn.New(authn.Config{Resolver: lists, Kept: lists.Kept(), Clock: clock})
	without := authn.New(authn.Config{Resolver: dns.Lists{Resolver: dns.New(config)}, Clock: clock})
	q := authn.Query{Client: client, Helo: "mx.example.org", From: "ann@example.org"}
	want := without.CheckSender(t.Context(), q)
	if want.SPF.Result != spf.Pass {
		t.Fatalf("%+v", want)
	}
	asked.Store(0)
	if got := with.CheckSender(t.Context(), q); !reflect.DeepEqual(got, want) || asked.Load() == 0 {
		t.Errorf("with nothing kept: %+v, want %+v, %d questions", got, want, asked.Load())
	}
	asked.Store(0)
	if got := with.CheckSender(t.Context(), q); !reflect.DeepEqual(got, want) || asked.Load() != 0 {
		t.Errorf("with all kept: %+v, want %+v, %d questions", got, want, asked.Load())
	}
}
