package node

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/filter/filtertest"
)

// TestFilters: a filter is added, asked, changed and removed.
func TestFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t, 84)
	s.more = fmt.Sprintf("[outbound]\nenabled = false\nresolvers = [%q]\n", serveZone(t, new(dnstest.Zone)))
	s.start(1)
	for name, value := range map[string]string{"unchecked_networks": "", "greylist_score": "0", "check_helo": "off", "check_reverse": "off", "check_sender": "off"} {
		if err := s.ask(1, "PUT", "/v1/settings/"+name, adminapi.Setting{Value: value}, nil); err != nil {
			t.Fatal(err)
		}
	}
	heard := make(chan string, 1)
	addr := filtertest.Serve(t, func(c net.Conn) { // a clamd that finds something in all messages
		var all bytes.Buffer
		for !bytes.HasSuffix(all.Bytes(), []byte("body\r\n\x00\x00\x00\x00")) {
			if _, err := io.CopyN(&all, c, 1); err != nil {
				return
			}
		}
		heard <- all.String()
		_, _ = io.WriteString(c, "stream: Test.Signature FOUND\x00")
	})
	add := adminapi.NewFilter{Name: "virus", Kind: "clamd", FilterChange: adminapi.FilterChange{Address: &addr}}
	s.eventually("a filter is added", func() error { return s.ask(1, "POST", "/v1/filters", add, nil) }) // once all nodes know of such records
	if err := s.ask(1, "POST", "/v1/filters", add, nil); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("added twice: %v", err)
	}
	nowhere := "nowhere"
	for name, x := range map[string]adminapi.NewFilter{"kind": {Name: "a", Kind: "x", FilterChange: add.FilterChange}, "name": {Name: "A b", Kind: "clamd", FilterChange: add.FilterChange},
		"address": {Name: "a", Kind: "clamd", FilterChange: adminapi.FilterChange{Address: &nowhere}}} {
		if err := s.ask(1, "POST", "/v1/filters", x, nil); err == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
	test := func() (v adminapi.FilterVerdict) {
		t.Helper()
		if err := s.ask(1, "POST", "/v1/filters-test", adminapi.FilterTest{Text: []byte("Subject: x\n\nbody\n"), Client: "192.0.2.1", To: []string{"ada@example.org"}}, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := test(); len(v.Filters) != 1 || v.Filters[0].Verdict != "virus" || v.Virus != "Test.Signature" {
		t.Errorf("got %+v", v)
	}
	if got := <-heard; !strings.Contains(got, "Subject: x\r\n\r\nbody\r\n") {
		t.Errorf("the filter got %q", got)
	}
	err := send(s.config(1).SMTP.MX[0], "ada@example.org", "Subject: x\r\n\r\nbody\r\n")
	if err == nil || !strings.Contains(err.Error(), "Test.Signature") {
		t.Errorf("a virus by SMTP: %v", err)
	}
	if got := <-heard; !strings.Contains(got, "Subject: x\r\n\r\nbody\r\n") {
		t.Errorf("the filter got %q", got)
	}
	yes := true
	if err := s.ask(1, "PATCH", "/v1/filters/virus", adminapi.FilterChange{Paused: &yes, Closed: &yes}, nil); err != nil {
		t.Fatal(err)
	}
	if v := test(); len(v.Filters) != 0 {
		t.Errorf("a paused filter was asked: %+v", v)
	}
	var list []adminapi.Filter
	if err := s.ask(1, "GET", "/v1/filters", nil, &list); err != nil || len(list) != 1 || !list[0].Paused || !list[0].Closed || list[0].Found != "refuse" || list[0].Seconds != 15 {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if err := s.ask(1, "DELETE", "/v1/filters/virus", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.ask(1, "PATCH", "/v1/filters/virus", adminapi.FilterChange{Paused: &yes}, nil); err == nil {
		t.Error("a filter was changed that is gone")
	}
}
