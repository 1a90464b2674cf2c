//go:build linux

package netnstest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// resolve looks texts up as peers do.
func resolve(name string) ([]string, error) {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:53")
	}}
	return r.LookupTXT(context.Background(), name)
}

// key is what `rookery dkim list --json` says of one.
type key struct {
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	State     string `json:"state"`
	Name      string `json:"name"`
	Record    string `json:"record"`
}

func (w *world) keys(t *testing.T) (list []key) {
	t.Helper()
	await(t, "there are keys of both kinds", func() error {
		if err := json.Unmarshal([]byte(w.rookery("dkim", "list", domain, "--json")), &list); err != nil {
			return err
		}
		if len(list) < 2 {
			return fmt.Errorf("there are %d", len(list))
		}
		return nil
	})
	return list
}

// publish puts a text into the zone, in strings of what a string may have.
func (w *world) publish(t *testing.T, name, text string) {
	t.Helper()
	line := strings.TrimSuffix(name, ".") + ". 5 IN TXT"
	for part := range slices.Chunk([]byte(text), 255) {
		line += fmt.Sprintf(" %q", part)
	}
	w.zone.add(t, line)
}

// TestSigned: what others get is signed with both kinds of keys, and they find the signatures good.
func TestSigned(t *testing.T) {
	w := newWorld(t)
	for _, k := range w.keys(t) {
		w.publish(t, k.Name, k.Record)
		await(t, "the key is known", func() error { _, err := resolve(k.Name); return err }) // that there was none is remembered for a while
		w.rookery("dkim", "activate", domain, k.Selector)
	}
	for name, start := range map[string]func(*testing.T, certificate) *peer{"postfix": startPostfix, "exim": startExim} {
		w.zone.add(t, domainOf(name)+". 5 IN MX 10 "+mx(name)+".", mx(name)+". 5 IN A "+v4(hosts[name]))
		p := start(t, newCertificate(t, mx(name)))
		bob := "bob@" + domainOf(name)
		for range 6 { // of several kinds of bodies
			m := w.message(bob)
			w.send(t, m, bob)
			verified(t, w.arrives(t, p, m))
		}
		if name == "exim" {
			log, err := os.ReadFile(filepath.Join(p.mail, "exim-mainlog"))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(log), "DKIM: d="+domain); n < 6 || strings.Count(string(log), "[verification succeeded]") < 6 {
				t.Errorf("exim found:\n%s", log)
			}
		}
	}
}

// verified holds that a message has good signatures of both kinds.
func verified(t *testing.T, text string) {
	t.Helper()
	found, err := dkim.VerifyWithOptions(strings.NewReader(text), &dkim.VerifyOptions{LookupTXT: resolve})
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for _, v := range found {
		if v.Err != nil {
			t.Errorf("a signature of %s: %v", v.Domain, v.Err)
		} else if v.Domain == domain {
			good++
		}
	}
	if good != 2 {
		t.Errorf("%d good signatures on\n%s", good, text[:min(len(text), 3000)])
	}
}
