package remote_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// TestWishes: by when and how urgently a message is wanted is passed on to hosts that know it; one that is to come back in
// time goes to no other.
func TestWishes(t *testing.T) {
	const able = "250-mx.one.example\n250-DELIVERBY 60\n250-MT-PRIORITY\n250 PIPELINING"
	in := func(d time.Duration, mode mta.ByMode) mta.By { return mta.By{Time: time.Now().Add(d), Mode: mode} }
	for name, c := range map[string]struct {
		hello    string
		by       mta.By
		priority int
		want     string // results
		mail     string // what MAIL says at its end, without the digits of a time
		knows    bool
	}{
		"passed on":        {able, in(2*time.Hour, mta.ByReturn), -4, `delivered by "mx.one.example": 250 ok`, "<ada@example.org> BY=#;R MT-PRIORITY=-4", true},
		"late, told":       {able, in(-time.Hour, mta.ByNotify), 0, `delivered by "mx.one.example": 250 ok`, "<ada@example.org> BY=-#;N", true},
		"unknown, told":    {"250 mx", in(2*time.Hour, mta.ByNotify), 3, `delivered by "mx.one.example": 250 ok`, "<ada@example.org>", false},
		"unknown, returns": {"250 mx", in(2*time.Hour, mta.ByReturn), 0, `permanent by "mx.one.example": 5.3.3 The message is to come back unless it is delivered in time, and the host does not know DELIVERBY`, "", false},
		"too late": {able, in(30*time.Second, mta.ByReturn), 0, `permanent by "mx.one.example": 5.4.7 There is not enough time left to deliver the message as was asked for`,
			"", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", c.hello, "250 ok", "250 ok", "354 go", "250 ok"}}}
			j := job("one.example", "bob")
			j.Envelope.By, j.Envelope.Priority = c.by, c.priority
			results := w.client(nil).Deliver(context.Background(), j)
			if got := show(results); got != c.want || results[0].By != c.knows {
				t.Errorf("%s, knows %v", got, results[0].By)
			}
			var mail string
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, line := range w.heard {
				if _, rest, ok := strings.Cut(line, "MAIL FROM:"); ok {
					mail = rest
				}
			}
			if _, rest, ok := strings.Cut(mail, "BY="); ok {
				value, _, _ := strings.Cut(rest, ";")
				mail = strings.Replace(mail, strings.TrimLeft(value, "-"), "#", 1)
			}
			if mail != c.mail {
				t.Errorf("MAIL FROM:%s and not %s", mail, c.mail)
			}
		})
	}
}
