package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/mtasts"
)

// TestRuleFor: the nearest rule holds.
func TestRuleFor(t *testing.T) {
	store, machine := &directorytest.Store{}, directory.New()
	for _, r := range []adminapi.TLSRule{
		{Domain: "Partner.Example", Level: "verify", Names: []string{".Partner.example", "mx.elsewhere.example"}},
		{Domain: ".partner.example", Level: "encrypt"},
		{Domain: ".example", Level: "verify"},
		{Domain: "bücher.test", Level: "encrypt"},
	} {
		record, err := ruleRecord(r)
		if err != nil {
			t.Fatal(err)
		}
		c, err := directory.PutMail(directory.MailChange{Record: record})
		if err != nil {
			t.Fatal(err)
		}
		c.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if _, err := machine.Execute(store, c); err != nil {
			t.Fatal(err)
		}
	}
	for domain, want := range map[string]string{
		"partner.example": "verify [.partner.example mx.elsewhere.example]", "a.partner.example": "encrypt []", "a.b.partner.example": "encrypt []",
		"other.example": "verify []", "example": "may []", "partner.test": "may []", "xn--bcher-kva.test": "encrypt []", "notpartner.example": "verify []",
	} {
		r, err := ruleFor(directory.View{R: store}, domain)
		if got := fmt.Sprint(r.Level, " ", r.Names); err != nil || got != want {
			t.Errorf("%s: %s, %v, not %s", domain, got, err, want)
		}
	}
	for _, r := range []adminapi.TLSRule{{Domain: "a.b", Level: "may"}, {Domain: "a.b", Level: ""}, {Domain: "a.b", Level: "encrypt", Names: []string{"c.d"}},
		{Domain: "", Level: "verify"}, {Domain: ".", Level: "verify"}, {Domain: "a b", Level: "verify"}, {Domain: "*.a.b", Level: "verify"},
		{Domain: "a.b", Level: "verify", Names: []string{"*"}}, {Domain: "a.b", Level: "verify", Names: strings.Split(strings.Repeat("c.d ", 51), " ")}} {
		if record, err := ruleRecord(r); err == nil {
			t.Errorf("%+v is taken: %v", r, record)
		}
	}
}

// TestKeptPolicy: a policy is read as it was kept, and what is none counts as none.
func TestKeptPolicy(t *testing.T) {
	at := time.UnixMilli(1_767_225_600_000)
	m := &directorypb.StsPolicy{Id: "1", Policy: []byte("version: STSv1\nmode: enforce\nmx: mx.one.example\nmax_age: 86400\n"), Fetched: at.UnixMilli(), Used: at.Add(time.Hour).UnixMilli()}
	k := keptPolicy(m)
	if k.ID != "1" || k.Policy.Mode != mtasts.Enforce || !k.Expires().Equal(at.Add(24*time.Hour)) || !k.Used.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v", k)
	}
	m.Policy = []byte("version: STSv2\n")
	if k := keptPolicy(m); k.Counts(at) || k.Text != nil {
		t.Errorf("%+v", k)
	}
}
