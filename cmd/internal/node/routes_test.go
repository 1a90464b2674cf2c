package node

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestRoutes: mail goes by the route that is set, out of the address that is named, and receivers are listed.
func TestRoutes(t *testing.T) {
	sink := new(sink)
	s := newSite(t, 67)
	s.more = "[outbound]\nenabled = true\nrelay = \"127.0.0.1:1\"\nresolvers = [\"127.0.0.1\"]\n" // nobody is there: routes win
	s.start(1)
	put := func(path string, in any) {
		t.Helper()
		s.eventually("the record is taken", func() error { return s.ask(1, "POST", path, in, nil) }) // not before the level is raised
	}
	node := s.config(1).Node
	put("/v1/egress", adminapi.Egress{Address: "127.0.0.2", Node: node, Hello: "out2.example.org", WarmUp: "5"})
	put("/v1/routes", adminapi.Route{Name: "out", Order: 100, Recipients: []string{"sink.test"}, Hosts: []string{sink.serve(t)}})
	put("/v1/routes", adminapi.Route{Name: "secret", Order: 1, Recipients: []string{".other.test"}, Hosts: []string{"relay.test"}, Username: "u", Password: "hidden"})
	if err := s.ask(1, "POST", "/v1/egress", adminapi.Egress{Address: "127.0.0.3", Node: "nobody"}, nil); err == nil {
		t.Error("an address of no node was taken")
	}
	s.eventually("a message is queued", func() error {
		return s.submit(1, "From: ada@example.org\r\nSubject: x\r\nMessage-ID: <r@example.org>\r\nDate: today\r\n\r\nhello\r\n", "bob@sink.test")
	})
	s.eventually("it arrives", func() error {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if len(sink.octets) != 1 || !slices.Contains(sink.peers, "127.0.0.2 out2.example.org") {
			return fmt.Errorf("%d messages, from %q", len(sink.octets), sink.peers)
		}
		return nil
	})
	var routes []adminapi.Route
	if err := s.ask(1, "GET", "/v1/routes", nil, &routes); err != nil || len(routes) != 2 || routes[0].Username != "u" || routes[0].Password != "" || routes[0].TLS != "verify" {
		t.Errorf("%+v, %v", routes, err)
	}
	var way adminapi.RouteWay
	if err := s.ask(1, "POST", "/v1/routes-test", adminapi.RouteTest{Sender: "ada@example.org", Recipient: "x@a.other.test"}, &way); err != nil ||
		way.Route != "secret" || way.TLS != "verify" || !slices.Equal(way.Hosts, []string{"relay.test"}) || len(way.Egress) != 1 {
		t.Errorf("%+v, %v", way, err)
	}
	var out []adminapi.Egress
	if err := s.ask(1, "GET", "/v1/egress", nil, &out); err != nil || len(out) != 1 || out[0].Today != 5 || out[0].WarmDay != 1 || len(out[0].Volumes) != 1 || out[0].Volumes[0].Taken == 0 {
		t.Errorf("%+v, %v", out, err)
	}
	var sites []adminapi.Site
	s.eventually("the receiver is counted", func() error {
		if err := s.ask(1, "GET", "/v1/sites", nil, &sites); err != nil || len(sites) != 1 || sites[0].Site != "127.0.0.1" || sites[0].Delivered != 1 || sites[0].Attempts != 0 {
			return fmt.Errorf("%+v, %w", sites, err)
		}
		return nil
	})
	if got := s.metric(1, `rookery_outbound_recipients_total\{outcome="delivered",site="other"\}`); got != "1" {
		t.Errorf("%s recipients are counted", got)
	}
	s.metric(1, `rookery_outbound_queue_recipients\{group="p1"\}`)
}
