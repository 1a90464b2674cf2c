package directory_test

import (
	"net/netip"
	"testing"

	"github.com/rookery-mail/rookery/cluster/directory"
)

func TestTrusts(t *testing.T) {
	text, err := directory.ParseSetting("trusted_networks", "192.0.2.9/24, 2001:db8::/32")
	if err != nil || text != "192.0.2.0/24 2001:db8::/32" {
		t.Fatalf("%q, %v", text, err)
	}
	for _, bad := range []string{"192.0.2.1", "192.0.2.0/33", "office"} {
		if _, err := directory.ParseSetting("trusted_networks", bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	s := directory.Settings{TrustedNetworks: text}
	for addr, want := range map[string]bool{"192.0.2.200": true, "::ffff:192.0.2.1": true, "192.0.3.1": false, "2001:db8:5::1": true, "2001:db9::1": false} {
		if got := s.Trusts(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is trusted: %v", addr, got)
		}
	}
	if (directory.Settings{}).Trusts(netip.MustParseAddr("192.0.2.1")) {
		t.Error("without networks one is trusted")
	}
}
