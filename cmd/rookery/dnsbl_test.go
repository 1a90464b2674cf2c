package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestDNSBL: lists are made of codes or of one score, and one that refuses us is shown.
func TestDNSBL(t *testing.T) {
	for _, c := range []struct {
		args []string
		sent string // empty: nothing
	}{
		{[]string{"add", "bl.example", "--codes", "127.0.0.2=3,&4=-1"}, `{"zone":"bl.example","codes":"127.0.0.2=3 \u00264=-1"}`},
		{[]string{"add", "bl.example", "--score", "2.5", "--off"}, `{"zone":"bl.example","codes":"127.0.0.0/8=2.5","off":true}`},
		{[]string{"add", "bl.example"}, ""},
		{[]string{"add", "bl.example", "--score", "1", "--codes", "127.0.0.2=3"}, ""},
	} {
		o := newOffice(t)
		out, err := run(t, append([]string{"--config", o.config, "dnsbl"}, c.args...)...)
		if (err == nil) != (c.sent != "") || c.sent != "" && string(o.sent["POST /v1/dns-lists"]) != c.sent {
			t.Errorf("%v: sent %s, said %s, %v", c.args, o.sent["POST /v1/dns-lists"], out, err)
		}
	}
	o := newOffice(t)
	o.answers["GET /v1/dns-lists"] = []adminapi.DNSList{{Zone: "bl.example", Codes: "127.0.0.2=3", Asked: 7, Refused: 2, RefusedAt: time.Date(2026, 3, 1, 9, 0, 0, 0, time.Local)},
		{Zone: "off.example", Codes: "127.0.0.2=3", Off: true}}
	o.answers["GET /v1/dns-lists-test/192.0.2.7"] = []adminapi.DNSListAnswer{{Zone: "bl.example", Result: "listed", Score: 3, Codes: []string{"127.0.0.2"}}}
	for _, c := range []struct{ args, want string }{{"list", "refused us 2026-03-01 09:00:00"}, {"list", "off "}, {"test 192.0.2.7", "bl.example  listed  3      127.0.0.2"}} {
		if out, err := run(t, append([]string{"--config", o.config, "dnsbl"}, strings.Fields(c.args)...)...); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s, %v", c.args, out, err)
		}
	}
}
