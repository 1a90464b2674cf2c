package dane_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/dane"
)

// record is a TLSA record of a certificate.
func record(u dane.Usage, s dane.Selector, m dane.Matching, c *x509.Certificate) dane.Record {
	data := c.Raw
	if s == dane.SPKI {
		data = c.RawSubjectPublicKeyInfo
	}
	switch m {
	case dane.SHA256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case dane.SHA512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return dane.Record{Usage: u, Selector: s, Matching: m, Data: data}
}

// spoilt is a record with another last octet.
func spoilt(r dane.Record) dane.Record {
	r.Data = append([]byte(nil), r.Data...)
	r.Data[len(r.Data)-1] ^= 1
	return r
}

// TestVerify: which certificates do under which records (RFC 7672, section 3).
func TestVerify(t *testing.T) {
	ca, other := certtest.New(t), certtest.New(t)
	good, expired := ca.Host("mx.example"), ca.Expired("mx.example")
	self := certtest.SelfSigned(t, "elsewhere.example")
	leaf := func(c tls.Certificate) *x509.Certificate { return certtest.Chain(t, c)[0] }
	without := good
	without.Certificate = good.Certificate[:1]
	names := []string{"mx.example", "example"}
	for name, c := range map[string]struct {
		records []dane.Record
		shown   tls.Certificate
		names   []string
		want    string
	}{
		"the host's key":                  {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, leaf(good))}, good, names, "DANE-EE"},
		"the host's certificate":          {[]dane.Record{record(dane.EE, dane.Cert, dane.SHA512, leaf(good))}, good, names, "DANE-EE"},
		"all of the host's certificate":   {[]dane.Record{record(dane.EE, dane.Cert, dane.Full, leaf(good))}, good, names, "DANE-EE"},
		"all of the host's key":           {[]dane.Record{record(dane.EE, dane.SPKI, dane.Full, leaf(good))}, good, names, "DANE-EE"},
		"EE asks for no name and no time": {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, leaf(expired))}, expired, []string{"other.example"}, "DANE-EE"},
		"EE of one that nobody signed":    {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, leaf(self))}, self, names, "DANE-EE"},
		"another key":                     {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, leaf(self))}, good, names, "no match"},
		"one octet is another":            {[]dane.Record{spoilt(record(dane.EE, dane.SPKI, dane.SHA256, leaf(good)))}, good, names, "no match"},
		"one of two":                      {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, leaf(self)), record(dane.EE, dane.SPKI, dane.SHA256, leaf(good))}, good, names, "DANE-EE"},
		"EE names the authority":          {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, ca.Cert)}, good, names, "no match"},
		"the authority":                   {[]dane.Record{record(dane.TA, dane.SPKI, dane.SHA256, ca.Cert)}, good, names, "DANE-TA"},
		"the authority, next-hop name":    {[]dane.Record{record(dane.TA, dane.Cert, dane.SHA256, ca.Cert)}, good, []string{"example", "mx.example"}, "DANE-TA"},
		"the authority is not sent":       {[]dane.Record{record(dane.TA, dane.SPKI, dane.SHA256, ca.Cert)}, without, names, "no match"},
		"but all of it is in DNS":         {[]dane.Record{record(dane.TA, dane.Cert, dane.Full, ca.Cert)}, without, names, "DANE-TA"},
		"another authority":               {[]dane.Record{record(dane.TA, dane.Cert, dane.Full, other.Cert)}, good, names, "not trusted"},
		"the authority, another name":     {[]dane.Record{record(dane.TA, dane.SPKI, dane.SHA256, ca.Cert)}, good, []string{"mx.other.example"}, "wrong name"},
		"the authority, no name":          {[]dane.Record{record(dane.TA, dane.SPKI, dane.SHA256, ca.Cert)}, good, nil, "error"},
		"the authority, expired":          {[]dane.Record{record(dane.TA, dane.SPKI, dane.SHA256, ca.Cert)}, expired, names, "expired"},
		"TA names the host":               {[]dane.Record{record(dane.TA, dane.SPKI, dane.SHA256, leaf(good))}, good, names, "no match"},
		"nothing shown":                   {[]dane.Record{record(dane.EE, dane.SPKI, dane.SHA256, leaf(good))}, tls.Certificate{}, names, "no match"},
	} {
		t.Run(name, func(t *testing.T) {
			if n := len(dane.Usable(c.records)); n != len(c.records) {
				t.Fatalf("%d of %d records can be used", n, len(c.records))
			}
			usage, err := dane.Verify(c.records, certtest.Chain(t, c.shown), c.names, time.Now())
			got := usage.String()
			var wrong x509.HostnameError
			var untrusted x509.UnknownAuthorityError
			var invalid x509.CertificateInvalidError
			switch {
			case errors.Is(err, dane.ErrNoMatch):
				got = "no match"
			case errors.As(err, &wrong):
				got = "wrong name"
			case errors.As(err, &untrusted):
				got = "not trusted"
			case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
				got = "expired"
			case err != nil:
				got = "error"
			}
			if got != c.want {
				t.Errorf("%s (%v), not %s", got, err, c.want)
			}
		})
	}
}

// TestUsable: what SMTP does not know does not count, and of digests the strongest does.
func TestUsable(t *testing.T) {
	cert := certtest.New(t).Cert
	strong, weak := record(dane.EE, dane.SPKI, dane.SHA512, cert), record(dane.EE, dane.SPKI, dane.SHA256, cert)
	authority, full := record(dane.TA, dane.SPKI, dane.SHA256, cert), record(dane.EE, dane.SPKI, dane.Full, cert)
	for name, c := range map[string]struct{ list, want []dane.Record }{
		"none":                       {nil, nil},
		"PKIX":                       {[]dane.Record{record(dane.PKIXTA, dane.Cert, dane.SHA256, cert), record(dane.PKIXEE, dane.Cert, dane.SHA256, cert)}, nil},
		"numbers that are not known": {[]dane.Record{{Usage: 4, Data: cert.Raw}, {Usage: dane.EE, Selector: 2, Data: cert.Raw}, {Usage: dane.EE, Matching: 3, Data: cert.Raw}}, nil},
		"digests of a wrong length":  {[]dane.Record{{Usage: dane.EE, Matching: dane.SHA256, Data: make([]byte, 31)}, {Usage: dane.EE, Matching: dane.SHA512, Data: make([]byte, 32)}}, nil},
		"no certificate, no key":     {[]dane.Record{{Usage: dane.EE, Data: []byte("x")}, {Usage: dane.EE, Selector: dane.SPKI, Data: cert.Raw}}, nil},
		"the strongest digest":       {[]dane.Record{weak, strong, authority, full}, []dane.Record{strong, authority, full}},
		"a strong one of no use":     {[]dane.Record{weak, {Usage: dane.EE, Selector: dane.SPKI, Matching: dane.SHA512, Data: []byte("x")}}, []dane.Record{weak}},
		"mixed":                      {[]dane.Record{{Usage: dane.PKIXEE, Matching: dane.SHA512, Data: make([]byte, 64)}, weak}, []dane.Record{weak}},
	} {
		got := dane.Usable(c.list)
		same := len(got) == len(c.want)
		for i := range got {
			same = same && got[i].String() == c.want[i].String()
		}
		if !same {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
}

// FuzzRecord: whatever DNS says, a certificate that is not named is not taken.
func FuzzRecord(f *testing.F) {
	chain := certtest.Chain(f, certtest.New(f).Host("mx.example"))
	f.Add(uint8(3), uint8(1), uint8(1), make([]byte, 32))
	f.Add(uint8(2), uint8(0), uint8(0), chain[1].Raw[:40])
	f.Add(uint8(2), uint8(1), uint8(0), []byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, usage, selector, matching uint8, data []byte) {
		r := dane.Record{Usage: dane.Usage(usage), Selector: dane.Selector(selector), Matching: dane.Matching(matching), Data: data}
		list := dane.Usable([]dane.Record{r})
		if len(list) == 0 {
			return
		}
		if u, err := dane.Verify(list, chain, []string{"mx.example"}, time.Now()); err == nil {
			t.Errorf("%v holds as %v", r, u)
		}
	})
}
