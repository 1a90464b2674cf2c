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
	if other, ok := otherNames()[site]; ok {
		return other
	}
	return site
}

// otherNames are further domains of the hosts of a site.
func otherNames() map[string]string {
	return map[string]string{
		"googlemail.com": "google.com",
		"gmail.com":      "google.com",
		"mx.microsoft":   "outlook.com",
		"hotmail.com":    "outlook.com",
		"yahoo.com":      "yahoodns.net",
		"aol.com":        "yahoodns.net",
		"me.com":         "icloud.com",
		"mac.com":        "icloud.com",
		"gmx.de":         "gmx.net",
		"wanadoo.fr":     "orange.fr",
	}
}
