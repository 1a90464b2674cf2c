package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// metric reads one metric of node i.
func (s *site) metric(i int, name string) string {
	s.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.config(i).Admin.Socket)
	}}}
	response, err := client.Get("http://localhost/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		s.t.Fatalf("no metric %s", name)
	}
	return string(found[1])
}

// TestSearchIndex: a mailbox that is searched is in the index soon after, and still after a restart; the answers are
// the same before and after.
func TestSearchIndex(t *testing.T) {
	t.Parallel()
	s := newSite(t, 9)
	s.start(1)
	s.deliver(1, 0, 80)
	for round := range 2 {
		k := s.talk(1)
		k.ok("SELECT INBOX")
		s.eventually("a search is narrowed", func() error {
			for _, c := range []struct{ keys, want string }{{`BODY "hello 42."`, "* SEARCH 43"}, {`SUBJECT 79`, "* SEARCH 80"}, {`TEXT "no such"`, "* SEARCH"}} {
				if got := strings.Join(k.ok("SEARCH %s", c.keys), ""); got != c.want {
					t.Errorf("SEARCH %s: %s, not %s", c.keys, got, c.want)
				}
			}
			if n := s.metric(1, "rookery_search_narrowed_total"); n == "0" {
				return fmt.Errorf("none of the searches was, %s messages are taken in", s.metric(1, "rookery_search_messages_total"))
			}
			return nil
		})
		k.ok("LOGOUT")
		if n := s.metric(1, "rookery_search_messages_total"); round == 1 && n != "0" {
			t.Errorf("%s messages were taken in again after the restart", n)
		}
		s.halt(1)
		s.serve(1)
	}
}
