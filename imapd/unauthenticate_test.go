package imapd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/imapd"
)

// TestUnauthenticate: who left is not counted as a connection of the account, and has to log in again in time.
func TestUnauthenticate(t *testing.T) {
	h := newHouse(t, func(c *imapd.Config) {
		c.Limits = imapd.Limits{ConnectionsPerAccount: 1, Login: 5 * time.Second}
	})
	first, second := h.dialTLS(), h.dialTLS()
	first.do(login1)
	if got := second.do(login1); !strings.Contains(got, "NO [LIMIT]") {
		t.Errorf("got %s", got)
	}
	if got := first.do("UNAUTHENTICATE"); !strings.Contains(got, "AUTH=PLAIN") {
		t.Errorf("got %s", got)
	}
	if got := second.do(login1); !strings.Contains(got, "OK [CAPABILITY") {
		t.Errorf("after the other left: %s", got)
	}
	if got := first.do(login1); !strings.Contains(got, "NO [LIMIT]") {
		t.Errorf("got %s", got)
	}
	first.until("* BYE idle for too long")
	first.ends()
}
