package tlspolicy_test

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dane"
	"github.com/rookery-mail/rookery/mta/mtasts"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

var (
	usable   = []dane.Record{{Usage: dane.EE, Selector: dane.SPKI, Matching: dane.SHA256, Data: make([]byte, sha256.Size)}}
	unusable = []dane.Record{{Usage: dane.PKIXEE, Selector: dane.SPKI, Matching: dane.SHA256, Data: make([]byte, sha256.Size)}}
	enforce  = &mtasts.Policy{Mode: mtasts.Enforce, Hosts: []string{"mx.one.example"}}
	foreign  = &mtasts.Policy{Mode: mtasts.Enforce, Hosts: []string{"mx.two.example"}}
	trial    = &mtasts.Policy{Mode: mtasts.Testing, Hosts: []string{"mx.one.example"}}
	none     = &mtasts.Policy{Mode: mtasts.None}
	encrypt  = tlspolicy.Rule{Level: tlspolicy.Encrypted}
	verify   = tlspolicy.Rule{Level: tlspolicy.Verified}
	named    = tlspolicy.Rule{Level: tlspolicy.Verified, Names: []string{".partner.example"}}
)

// TestDecide: which policies are together, and what comes of it. None makes another weaker.
func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		f    tlspolicy.Facts
		want string
	}{
		"nothing":                    {tlspolicy.Facts{}, "may"},
		"none":                       {tlspolicy.Facts{STS: none}, "may"},
		"testing":                    {tlspolicy.Facts{STS: trial}, "may, watched as sts"},
		"enforce":                    {tlspolicy.Facts{STS: enforce}, "verify by MTA-STS: authority for [mx.one.example], told as sts"},
		"enforce, another host":      {tlspolicy.Facts{STS: foreign}, "4.7.5 MTA-STS asks for authenticated TLS with mx.one.example: the policy does not name the host"},
		"DANE":                       {tlspolicy.Facts{TLSA: usable}, "verify by DANE: TLSA for [base.example mx.one.example one.example], told as tlsa"},
		"DANE of no use":             {tlspolicy.Facts{TLSA: unusable}, "encrypt by DANE, told as tlsa"},
		"DANE and enforce":           {tlspolicy.Facts{TLSA: usable, STS: enforce}, "verify by DANE: TLSA for [base.example mx.one.example one.example], told as tlsa"},
		"DANE and another's enforce": {tlspolicy.Facts{TLSA: usable, STS: foreign}, "verify by DANE: TLSA for [base.example mx.one.example one.example], told as tlsa"},
		"DANE of no use and enforce": {tlspolicy.Facts{TLSA: unusable, STS: enforce}, "verify by MTA-STS: authority for [mx.one.example], told as tlsa"},
		"encrypt":                    {tlspolicy.Facts{Rule: encrypt}, "encrypt by A rule of ours"},
		"encrypt and DANE":           {tlspolicy.Facts{Rule: encrypt, TLSA: usable}, "verify by DANE: TLSA for [base.example mx.one.example one.example], told as tlsa"},
		"encrypt and enforce":        {tlspolicy.Facts{Rule: encrypt, STS: enforce}, "verify by MTA-STS: authority for [mx.one.example], told as sts"},
		"encrypt and testing":        {tlspolicy.Facts{Rule: encrypt, STS: trial}, "encrypt by A rule of ours, watched as sts"},
		"verify":                     {tlspolicy.Facts{Rule: verify}, "verify by A rule of ours: authority for [mx.one.example]"},
		"verify and DANE":            {tlspolicy.Facts{Rule: verify, TLSA: usable}, "verify by A rule of ours: TLSA for [base.example mx.one.example one.example], told as tlsa"},
		"verify and DANE of no use":  {tlspolicy.Facts{Rule: verify, TLSA: unusable}, "verify by A rule of ours: authority for [mx.one.example], told as tlsa"},
		"names":                      {tlspolicy.Facts{Rule: named}, "verify by A rule of ours: authority for [.partner.example]"},
		"names and DANE":             {tlspolicy.Facts{Rule: named, TLSA: usable}, "verify by A rule of ours: TLSA for [base.example mx.one.example one.example], authority for [.partner.example], told as tlsa"},
		"names and enforce":          {tlspolicy.Facts{Rule: named, STS: enforce}, "verify by A rule of ours: authority for [.partner.example] and mx.one.example, told as sts"},
		"names and another's enforce": {tlspolicy.Facts{Rule: named, STS: foreign},
			"4.7.5 MTA-STS asks for authenticated TLS with mx.one.example: the policy does not name the host"},
		"a route": {tlspolicy.Facts{Rule: tlspolicy.Rule{Level: tlspolicy.Encrypted, Route: true}}, "encrypt by The route"},

		"required": {tlspolicy.Facts{Required: true},
			"5.7.10 REQUIRETLS asks for authenticated TLS with mx.one.example: neither DNSSEC nor MTA-STS vouches for its being a host of the domain"},
		"required and DNSSEC":           {tlspolicy.Facts{Required: true, Known: true}, "verify by REQUIRETLS: authority for [mx.one.example], REQUIRETLS"},
		"required and DANE":             {tlspolicy.Facts{Required: true, Known: true, TLSA: usable}, "verify by REQUIRETLS: TLSA for [base.example mx.one.example one.example], REQUIRETLS, told as tlsa"},
		"required and DANE of no use":   {tlspolicy.Facts{Required: true, Known: true, TLSA: unusable}, "verify by REQUIRETLS: authority for [mx.one.example], REQUIRETLS, told as tlsa"},
		"required and enforce":          {tlspolicy.Facts{Required: true, STS: enforce}, "verify by REQUIRETLS: authority for [mx.one.example], REQUIRETLS, told as sts"},
		"required and testing":          {tlspolicy.Facts{Required: true, STS: trial}, "verify by REQUIRETLS: authority for [mx.one.example], REQUIRETLS, watched as sts"},
		"required and none":             {tlspolicy.Facts{Required: true, STS: none}, "5.7.10 REQUIRETLS asks for authenticated TLS with mx.one.example: neither DNSSEC nor MTA-STS vouches for its being a host of the domain"},
		"required and encrypt":          {tlspolicy.Facts{Required: true, Known: true, Rule: encrypt}, "verify by REQUIRETLS: authority for [mx.one.example], REQUIRETLS"},
		"required and names":            {tlspolicy.Facts{Required: true, Known: true, Rule: named}, "verify by A rule of ours: authority for [.partner.example] and mx.one.example, REQUIRETLS"},
		"required wins over waived":     {tlspolicy.Facts{Required: true, Waived: true, STS: enforce}, "verify by REQUIRETLS: authority for [mx.one.example], REQUIRETLS, told as sts"},
		"waived and DANE":               {tlspolicy.Facts{Waived: true, TLSA: usable}, "may, not told"},
		"waived and enforce":            {tlspolicy.Facts{Waived: true, STS: enforce}, "may, not told"},
		"waived and another's enforce":  {tlspolicy.Facts{Waived: true, STS: foreign}, "may, not told"},
		"waived and encrypt":            {tlspolicy.Facts{Waived: true, Rule: encrypt, TLSA: usable}, "encrypt by A rule of ours, not told"},
		"waived and names, and enforce": {tlspolicy.Facts{Waived: true, Rule: named, STS: enforce}, "verify by A rule of ours: authority for [.partner.example], not told"},
	} {
		c.f.Domain, c.f.Host, c.f.Base = "one.example", "mx.one.example", "base.example"
		if got := describe(tlspolicy.Decide(c.f)); got != c.want {
			t.Errorf("%s: %s\nand not %s", name, got, c.want)
		}
	}
}

func describe(n tlspolicy.Need, err error) string {
	var r *tlspolicy.Refusal
	if errors.As(err, &r) {
		return fmt.Sprint(r.Status(), " ", r)
	}
	text := n.Level.String()
	if n.By != "" {
		text += " by " + string(n.By)
	}
	separator := ": "
	add := func(what string) { text += separator + what; separator = ", " }
	if n.Level < tlspolicy.Verified {
		separator = ", "
	}
	if len(n.Records) > 0 {
		add(fmt.Sprint("TLSA for ", n.Bases))
	}
	if n.WebPKI {
		what := fmt.Sprint("authority for ", n.Names)
		if n.Own {
			what += " and " + n.Host
		}
		add(what)
	}
	if n.Extension {
		add("REQUIRETLS")
	}
	switch {
	case n.Watched:
		add("watched as " + string(n.Kind))
	case n.Kind == "":
		add("not told")
	case n.Kind != tlsrpt.NoPolicy:
		add("told as " + string(n.Kind))
	}
	return text
}

// TestJudge: what certificates are worth under a need.
func TestJudge(t *testing.T) {
	ca, other := certtest.New(t), certtest.New(t)
	good, expired, wrong := ca.Host("mx.one.example"), ca.Expired("mx.one.example"), ca.Host("mx.two.example")
	partner := ca.Host("*.partner.example", "mx.one.example")
	pin := func(c tls.Certificate) []dane.Record {
		sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
		return []dane.Record{{Usage: dane.EE, Selector: dane.SPKI, Matching: dane.SHA256, Data: sum[:]}}
	}
	for name, c := range map[string]struct {
		f     tlspolicy.Facts
		shown tls.Certificate
		want  string
	}{
		"any":                          {tlspolicy.Facts{}, other.Host("x.example"), "not authenticated"},
		"enforce":                      {tlspolicy.Facts{STS: enforce}, good, "verified by an authority for MTA-STS"},
		"enforce, expired":             {tlspolicy.Facts{STS: enforce}, expired, "4.7.5 certificate-expired"},
		"enforce, another name":        {tlspolicy.Facts{STS: enforce}, wrong, "4.7.5 certificate-host-mismatch"},
		"enforce, another authority":   {tlspolicy.Facts{STS: enforce}, other.Host("mx.one.example"), "4.7.5 certificate-not-trusted"},
		"enforce, self-signed":         {tlspolicy.Facts{STS: enforce}, certtest.SelfSigned(t, "mx.one.example"), "4.7.5 certificate-not-trusted"},
		"enforce, nothing shown":       {tlspolicy.Facts{STS: enforce}, tls.Certificate{}, "4.7.5 validation-failure"},
		"testing":                      {tlspolicy.Facts{STS: trial}, good, "not authenticated"},
		"testing, expired":             {tlspolicy.Facts{STS: trial}, expired, "not authenticated, certificate-expired"},
		"testing, another host":        {tlspolicy.Facts{STS: &mtasts.Policy{Mode: mtasts.Testing, Hosts: []string{"x.example"}}}, good, "not authenticated, validation-failure"},
		"DANE":                         {tlspolicy.Facts{TLSA: pin(expired)}, expired, "verified by DANE-EE"},
		"DANE, another":                {tlspolicy.Facts{TLSA: pin(expired)}, good, "4.7.5 certificate-not-trusted"},
		"a failing DANE, and MTA-STS":  {tlspolicy.Facts{TLSA: pin(expired), STS: enforce}, good, "4.7.5 certificate-not-trusted"},
		"DANE of no use":               {tlspolicy.Facts{TLSA: unusable}, wrong, "not authenticated, tlsa-invalid"},
		"verify":                       {tlspolicy.Facts{Rule: verify}, good, "verified by an authority for a rule of ours"},
		"verify, by DANE":              {tlspolicy.Facts{Rule: verify, TLSA: pin(wrong)}, wrong, "verified by DANE-EE"},
		"names":                        {tlspolicy.Facts{Rule: named}, partner, "verified by an authority for a rule of ours"},
		"names, another":               {tlspolicy.Facts{Rule: named}, good, "4.7.5 certificate-host-mismatch"},
		"names and DANE":               {tlspolicy.Facts{Rule: named, TLSA: pin(partner)}, partner, "verified by DANE-EE"},
		"names, DANE alone":            {tlspolicy.Facts{Rule: named, TLSA: pin(good)}, good, "4.7.5 certificate-host-mismatch"},
		"names and enforce":            {tlspolicy.Facts{Rule: named, STS: enforce}, partner, "verified by an authority for a rule of ours"},
		"names, and enforce of others": {tlspolicy.Facts{Rule: named, STS: enforce}, ca.Host("a.partner.example"), "4.7.5 certificate-host-mismatch"},
		"required, expired":            {tlspolicy.Facts{Required: true, Known: true}, expired, "5.7.10 certificate-expired"},
	} {
		c.f.Domain, c.f.Host, c.f.Base = "one.example", "mx.one.example", "mx.one.example"
		n, err := tlspolicy.Decide(c.f)
		if err != nil {
			t.Fatal(err)
		}
		v, err := n.Judge(certtest.Chain(t, c.shown), ca.Pool(), time.Now())
		got := v.Text
		if v.Failure != "" {
			got += ", " + string(v.Failure)
		}
		var r *tlspolicy.Refusal
		if errors.As(err, &r) {
			got = fmt.Sprint(r.Status(), " ", r.Failure())
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), not %s", name, got, err, c.want)
		}
	}
}

// TestRefusals: what the queue makes of what a host lacks.
func TestRefusals(t *testing.T) {
	all := tlspolicy.Need{Host: "mx.one.example", Level: tlspolicy.Verified, By: tlspolicy.BySTS}
	required := tlspolicy.Need{Host: "mx.one.example", Level: tlspolicy.Verified, By: tlspolicy.ByRequired, Extension: true}
	for _, c := range []struct {
		r    tlspolicy.Refusal
		want string
	}{
		{tlspolicy.Refusal{Need: all, Lack: tlspolicy.NoSTARTTLS}, "4.7.4 starttls-not-supported"},
		{tlspolicy.Refusal{Need: all, Lack: tlspolicy.NoHandshake, Cause: errors.New("x")}, "4.7.5 validation-failure"},
		{tlspolicy.Refusal{Need: all, Lack: tlspolicy.Broken, Cause: io.EOF}, "4.7.5 validation-failure"},
		{tlspolicy.Refusal{Need: all, Lack: tlspolicy.NotYetResolved, Cause: io.EOF}, "4.7.5 dnssec-invalid"},
		{tlspolicy.Refusal{Need: required, Lack: tlspolicy.NoSTARTTLS}, "5.7.10 starttls-not-supported"},
		{tlspolicy.Refusal{Need: required, Lack: tlspolicy.NoSTARTTLS, Cause: mta.Replyf(454, "4.7.0", "later")}, "4.7.4 starttls-not-supported"},
		{tlspolicy.Refusal{Need: required, Lack: tlspolicy.NoRequireTLS}, "5.7.30 validation-failure"},
		{tlspolicy.Refusal{Need: required, Lack: tlspolicy.NoHandshake, Cause: errors.New("x")}, "5.7.10 validation-failure"},
		{tlspolicy.Refusal{Need: required, Lack: tlspolicy.Broken, Cause: io.EOF}, "4.7.5 validation-failure"},
		{tlspolicy.Refusal{Need: required, Lack: tlspolicy.NotYetResolved, Cause: io.EOF}, "4.7.5 dnssec-invalid"},
	} {
		if got := fmt.Sprint(c.r.Status(), " ", c.r.Failure()); got != c.want {
			t.Errorf("%v: %s, not %s", &c.r, got, c.want)
		}
	}
}

// TestKey: connections are shared by needs that are the same, and by no others.
func TestKey(t *testing.T) {
	facts := []tlspolicy.Facts{{}, {STS: trial}, {STS: enforce}, {TLSA: usable}, {TLSA: unusable}, {Rule: encrypt}, {Rule: verify}, {Rule: named},
		{Rule: verify, TLSA: usable}, {Required: true, Known: true}, {Required: true, STS: enforce, Rule: named}}
	seen := map[string]int{}
	for i, f := range facts {
		f.Domain, f.Host, f.Base = "one.example", "mx.one.example", "mx.one.example"
		n, err := tlspolicy.Decide(f)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[n.Key()]; ok {
			t.Errorf("%d and %d share a connection", before, i)
		}
		seen[n.Key()] = i
		f.Domain = "two.example"
		again, _ := tlspolicy.Decide(f)
		if again.Key() != n.Key() {
			t.Errorf("two domains of one host do not share a connection: %+v", f)
		}
	}
}
