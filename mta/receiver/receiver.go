// Package receiver is what is known of those who take mail, each for one domain or for a million: who a host belongs to,
// how much at a time they want, and what they mean by their words. It remembers nothing and connects to nobody.
package receiver

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Site names who takes mail by a host: its registrable domain in lower case, the same for all names of the
// large receivers. An address stands for itself.
func Site(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		site = host
	}
	return mainName(site)
}

// mainName is what a site is called that has hosts in several domains.
func mainName(site string) string {
	switch site {
	case "googlemail.com", "gmail.com":
		return "google.com"
	case "mx.microsoft", "hotmail.com":
		return "outlook.com"
	case "yahoo.com", "aol.com":
		return "yahoodns.net"
	case "me.com", "mac.com":
		return "icloud.com"
	case "gmx.de":
		return "gmx.net"
	case "wanadoo.fr":
		return "orange.fr"
	}
	return site
}
