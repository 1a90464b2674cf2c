package mta_test

import (
	"testing"

	"github.com/rookery-mail/rookery/mta"
)

// TestRecipientForAnother: what a sender wants to hear goes along with an alias, under the address that was written to.
func TestRecipientForAnother(t *testing.T) {
	for _, c := range []struct {
		from    mta.Recipient
		address string
		want    mta.Recipient
	}{
		{mta.Recipient{Address: "a+b=c@example.org"}, "d@example.com", mta.Recipient{Address: "d@example.com", ORCPT: "rfc822;a+2Bb+3Dc@example.org"}},
		{mta.Recipient{Address: "a@example.org"}, "a@example.org", mta.Recipient{Address: "a@example.org"}},
		{mta.Recipient{Address: "ö@example.org"}, "d@example.com", mta.Recipient{Address: "d@example.com"}},
		{mta.Recipient{Address: "a@example.org", ORCPT: "rfc822;x", Notify: mta.NotifyDelay}, "d@example.com",
			mta.Recipient{Address: "d@example.com", ORCPT: "rfc822;x", Notify: mta.NotifyDelay}},
	} {
		if got := c.from.For(c.address); got != c.want {
			t.Errorf("%v for %s: %v", c.from, c.address, got)
		}
	}
}

func TestRecipientWithout(t *testing.T) {
	for from, want := range map[mta.Notify]mta.Notify{0: 0, mta.NotifyNever: mta.NotifyNever, mta.NotifySuccess: mta.NotifyNever,
		mta.NotifySuccess | mta.NotifyDelay: mta.NotifyDelay} {
		if got := (mta.Recipient{Notify: from}).Without(mta.NotifySuccess).Notify; got != want {
			t.Errorf("%q without success: %q", from, got)
		}
	}
}
