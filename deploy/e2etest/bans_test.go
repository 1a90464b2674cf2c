package e2etest

import (
	"fmt"
	"strings"
	"testing"
)

// TestBans bans by one node and sees it on another one, and lifts it there.
func TestBans(t *testing.T) {
	_, c := start(t, 3)
	first, last := c.Nodes()[0], c.Nodes()[2]
	if _, err := first.Run(within(t), "", "ban", "add", "2001:db8::7", "--for", "1h", "--reason", "guesses"); err != nil {
		t.Fatal(err)
	}
	shows := func(want bool) {
		t.Helper()
		for _, n := range c.Nodes() {
			eventually(t, func() error {
				out, err := n.Run(within(t), "", "ban", "list")
				if err != nil {
					return err
				}
				if strings.Contains(string(out), "2001:db8::/64") != want {
					return fmt.Errorf("banned: %v, want %v; the list is\n%s", !want, want, out)
				}
				return nil
			})
		}
	}
	shows(true)
	if _, err := last.Run(within(t), "", "ban", "lift", "2001:db8::7"); err != nil {
		t.Fatal(err)
	}
	shows(false)
}
