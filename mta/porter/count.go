package porter

import (
	"net/netip"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/greylist"
	"github.com/rookery-mail/rookery/mta/meter"
	"github.com/rookery-mail/rookery/mta/policy"
)

// what is counted.
type what string

const (
	connections what = "connections"
	messages    what = "messages"
	recipients  what = "recipients"
)

func (r Rates) of(w what) meter.Limit {
	switch w {
	case connections:
		return r.Connections
	case messages:
		return r.Messages
	}
	return r.Recipients
}

// count counts one more of the client's address, of its network and of the sender. A reply with the code says that one of them
// has had what it may; what was counted for the others before stays so.
func (v *Visit) count(w what, code int, now time.Time) *mta.Reply {
	if v.trusted {
		return nil
	}
	network := greylist.Network(v.remote).String()
	origins := []struct {
		who, key string
		rates    Rates
	}{
		{"your address", v.remote.String(), v.rules.Address},
		{"your network " + network, network, v.rules.Network},
		{"<" + v.sender + ">", v.sender, v.rules.From},
	}
	if v.remote.Is6() { // an IPv6 /64 is what one customer has
		origins[0].key = netip.PrefixFrom(v.remote, 64).Masked().Addr().String()
	}
	if v.sender == "" {
		origins = origins[:2]
	}
	for _, o := range origins {
		limit := o.rates.of(w)
		if ok, retry := v.p.meter.Take(string(w)+" "+o.key, 1, limit, now); !ok {
			v.p.c.Count(Rate)
			v.p.c.Logger.Info("rate exceeded", "remote", v.remote, "what", string(w), "of", o.key, "limit", limit.Count, "per", limit.Per)
			enhanced := mta.TempNotNow
			if code == 421 {
				enhanced = mta.TempSecurity
			}
			return mta.Replyf(code, enhanced, "Too many %s from %s: try again in %s", w, strings.TrimSpace(o.who), policy.Wait(int(retry/time.Second)))
		}
	}
	return nil
}
