package login_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/directory/logintest"
)

// users is a house that trusts an authority, which the test may exchange.
type users struct {
	*house
	authority *logintest.Authority
	pool      *x509.CertPool
}

func newUsers(t testing.TB, config login.Config) *users {
	t.Helper()
	u := &users{authority: logintest.NewAuthority(t, "users")}
	u.pool = u.authority.Pool()
	config.Authorities = func() *x509.CertPool { return u.pool }
	u.house = newHouse(t, config)
	return u
}

// showing is a connection on which a client has shown a certificate.
func showing(t testing.TB, cert tls.Certificate) login.Conn {
	t.Helper()
	conn := secure()
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		conn.TLS.PeerCertificates = append(conn.TLS.PeerCertificates, c)
	}
	return conn
}

// TestExternal: who may log in by which certificate, and as whom.
func TestExternal(t *testing.T) {
	u := newUsers(t, login.Config{})
	u.directory.AddAccount(t, "card@example.com", "") // has no password
	u.directory.Must(t)(directory.PutAlias("sales@example.com", "ann@example.com"))
	ca, other := u.authority, logintest.NewAuthority(t, "others")
	between := ca.Below(t, "a department", nil)
	elsewhere := ca.Below(t, "another house", func(c *x509.Certificate) {
		c.PermittedEmailAddresses, c.PermittedDNSDomainsCritical = []string{"elsewhere.example"}, true
	})
	alone := between.Issue(t, nil, "ann@example.com")
	alone.Certificate = alone.Certificate[:1]
	long := ca.Issue(t, nil, "ann@example.com")
	for range 8 {
		long.Certificate = append(long.Certificate, other.Certificate.Raw)
	}
	issue := func(addresses ...string) tls.Certificate { return ca.Issue(t, nil, addresses...) }
	changed := func(change func(*x509.Certificate)) tls.Certificate { return ca.Issue(t, change, "ann@example.com") }
	none := []byte{}
	for name, c := range map[string]struct {
		cert tls.Certificate
		said [][]byte
		who  string
		want error
	}{
		"no initial response":       {issue("ann@example.com"), [][]byte{nil, none}, "ann@example.com", nil},
		"an empty one":              {issue("ann@example.com"), [][]byte{none}, "ann@example.com", nil},
		"herself":                   {issue("ann@example.com"), [][]byte{[]byte("ann@example.com")}, "ann@example.com", nil},
		"herself, after all":        {issue("ann@example.com"), [][]byte{nil, []byte("Ann@Example.com")}, "ann@example.com", nil},
		"herself in short":          {issue("ann@example.com"), [][]byte{[]byte("ann")}, "ann@example.com", nil},
		"somebody else":             {issue("ann@example.com"), [][]byte{[]byte("bob@example.com")}, "", login.ErrAuthorization},
		"nobody":                    {issue("ann@example.com"), [][]byte{[]byte("nobody@example.com")}, "", login.ErrAuthorization},
		"in any case":               {issue("ANN@Example.COM"), [][]byte{none}, "ann@example.com", nil},
		"one of two is here":        {issue("ann@elsewhere.example", "ann@example.com"), [][]byte{none}, "ann@example.com", nil},
		"both are the same":         {issue("ann@example.com", "Ann@example.com"), [][]byte{none}, "ann@example.com", nil},
		"two, none named":           {issue("ann@example.com", "bob@example.com"), [][]byte{none}, "", login.ErrAuthorization},
		"two, one named":            {issue("ann@example.com", "bob@example.com"), [][]byte{[]byte("bob@example.com")}, "bob@example.com", nil},
		"two, another named":        {issue("ann@example.com", "bob@example.com"), [][]byte{[]byte("card@example.com")}, "", login.ErrAuthorization},
		"without a password":        {issue("card@example.com"), [][]byte{none}, "card@example.com", nil},
		"an alias":                  {issue("sales@example.com"), [][]byte{none}, "", login.ErrBadCredentials},
		"a subaddress":              {issue("ann+x@example.com"), [][]byte{none}, "", login.ErrBadCredentials},
		"not an account":            {issue("nobody@example.com"), [][]byte{none}, "", login.ErrBadCredentials},
		"not an address":            {issue("ann"), [][]byte{none}, "", login.ErrBadCredentials},
		"no address":                {issue(), [][]byte{[]byte("ann@example.com")}, "", login.ErrBadCredentials},
		"by a department":           {between.Issue(t, nil, "ann@example.com"), [][]byte{none}, "ann@example.com", nil},
		"of a department left out":  {alone, [][]byte{none}, "", login.ErrBadCredentials},
		"beyond what it may sign":   {elsewhere.Issue(t, nil, "ann@example.com"), [][]byte{none}, "", login.ErrBadCredentials},
		"another authority":         {other.Issue(t, nil, "ann@example.com"), [][]byte{none}, "", login.ErrBadCredentials},
		"a long chain":              {long, [][]byte{none}, "", login.ErrBadCredentials},
		"over":                      {changed(func(c *x509.Certificate) { c.NotAfter = u.now.Add(-time.Second) }), [][]byte{none}, "", login.ErrBadCredentials},
		"to come":                   {changed(func(c *x509.Certificate) { c.NotBefore = u.now.Add(time.Second) }), [][]byte{none}, "", login.ErrBadCredentials},
		"for servers":               {changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), [][]byte{none}, "", login.ErrBadCredentials},
		"for letters":               {changed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }), [][]byte{none}, "", login.ErrBadCredentials},
		"an address by common name": {ca.Issue(t, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "ann@example.com"} }), [][]byte{none}, "", login.ErrBadCredentials},
		"a NUL":                     {issue("ann@example.com"), [][]byte{[]byte("ann@example.com\x00")}, "", login.ErrMalformed},
		"not UTF-8":                 {issue("ann@example.com"), [][]byte{[]byte("\xff")}, "", login.ErrMalformed},
	} {
		_, id, err := talk(t, u.house, "EXTERNAL", showing(t, c.cert), c.said...)
		if !errors.Is(err, c.want) || err == nil != (c.want == nil) || id.Address != c.who {
			t.Errorf("%s: %v, %v; want %q, %v", name, id, err, c.who, c.want)
		}
	}
}

// TestExternalIsOffered to who can use it and nobody else.
func TestExternalIsOffered(t *testing.T) {
	u := newUsers(t, login.Config{PlainOnLoopback: true})
	good := showing(t, u.authority.Issue(t, nil, "ann@example.com"))
	foreign := showing(t, logintest.NewAuthority(t, "others").Issue(t, nil, "ann@example.com"))
	local := login.Conn{Remote: here()}
	offered := func(what string, conn login.Conn, want bool) {
		t.Helper()
		if got := u.MechanismsFor(conn); slices.Contains(got, "EXTERNAL") != want || want && got[0] != "EXTERNAL" {
			t.Errorf("%s: offered %v", what, got)
		}
	}
	refused := func(what string, conn login.Conn, want error) {
		t.Helper()
		if _, err := u.Server("external", conn); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	offered("a good certificate", good, true)
	offered("one of others", foreign, false)
	offered("none", secure(), false)
	offered("no TLS", local, false)
	refused("none", secure(), login.ErrMechanism)
	refused("no TLS", local, login.ErrEncryption)
	u.now = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)
	offered("a good one, later", good, false)
	u.now = u.now.AddDate(-50, 0, 0)
	u.pool = nil
	offered("a good one, without authorities", good, false)
	refused("a good one, without authorities", good, login.ErrMechanism)
	refused("no TLS, without authorities", local, login.ErrMechanism)
}

// TestExternalEnds: what may a moment ago may no more.
func TestExternalEnds(t *testing.T) {
	banned := false
	u := newUsers(t, login.Config{Guard: &watchman{banned: func(netip.Addr) bool { return banned }}})
	conn := showing(t, u.authority.Issue(t, nil, "ann@example.com"))
	want := func(what string, want error) {
		t.Helper()
		if _, id, err := talk(t, u.house, "EXTERNAL", conn, []byte{}); !errors.Is(err, want) || (err == nil) != (id.Account == u.ann) {
			t.Errorf("%s: %v, %v; want %v", what, id, err, want)
		}
	}
	want("at first", nil)
	yes, no := true, false
	u.directory.Must(t)(directory.UpdateAccount(u.ann, directory.AccountChange{Disabled: &yes}))
	want("disabled", login.ErrDisabled)
	u.directory.Must(t)(directory.UpdateAccount(u.ann, directory.AccountChange{Disabled: &no}))
	banned = true
	want("banned", login.ErrThrottled)
	banned = false
	want("enabled, and not banned", nil)

	// The authority goes between the offer and the answer.
	x, err := u.Server("EXTERNAL", conn)
	if err != nil {
		t.Fatal(err)
	}
	pool := u.pool
	u.pool = nil
	if _, done, err := x.Next([]byte{}); done || !errors.Is(err, login.ErrBadCredentials) {
		t.Errorf("without authorities: %v, %v", done, err)
	}
	u.pool = logintest.NewAuthority(t, "others").Pool()
	want("another authority", login.ErrBadCredentials)
	u.pool = pool
	want("the old one", nil)
	u.directory.Must(t)(directory.DeleteAccount(u.ann))
	want("deleted", login.ErrBadCredentials)
}

// TestExternalIsSlowedDown: certificates that are good for nothing use up what a network has of tries, and guesses of
// the password do not lock out who has a certificate.
func TestExternalIsSlowedDown(t *testing.T) {
	u := newUsers(t, login.Config{AddressBurst: 5, AddressRefill: time.Hour, AccountBurst: 2, AccountRefill: time.Hour})
	good := showing(t, u.authority.Issue(t, nil, "ann@example.com"))
	good.Remote = there()
	for i := range 3 {
		want := login.ErrBadCredentials
		if i == 2 {
			want = login.ErrThrottled
		}
		u.want(t, "ann", fmt.Sprint("guess", i), here(), want)
	}
	if _, _, err := talk(t, u.house, "EXTERNAL", good, []byte{}); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	// What the certificate did does not make its network one where ann's password may be guessed.
	u.want(t, "ann", "guess", there(), login.ErrThrottled)
	var err error
	for i := range 8 {
		bad := showing(t, u.authority.Issue(t, nil, fmt.Sprintf("nobody%d@example.com", i)))
		bad.Remote = there()
		_, _, err = talk(t, u.house, "EXTERNAL", bad, []byte{})
	}
	if !errors.Is(err, login.ErrThrottled) {
		t.Errorf("after many bad certificates: %v", err)
	}
}

// TestEmptyResponse: a response of no octets is no missing one (RFC 4422, section 4).
func TestEmptyResponse(t *testing.T) {
	h := newHouse(t, login.Config{})
	for _, mechanism := range []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"} {
		if heard, _, err := talk(t, h, mechanism, secure(), []byte{}); !errors.Is(err, login.ErrMalformed) || len(heard) > 0 {
			t.Errorf("%s: heard %q, %v", mechanism, heard, err)
		}
		if heard, _, _ := talk(t, h, mechanism, secure(), nil); len(heard) != 1 {
			t.Errorf("%s without a response: heard %q", mechanism, heard)
		}
	}
}

// FuzzExternal holds that ann's certificate lets in ann, whatever is asked for.
func FuzzExternal(f *testing.F) {
	for _, seed := range []string{"", "ann", "ann@example.com", "bob@example.com", "\"ann\"@example.com.", "a\x00b", "\xff", "@", "ann+x@example.com"} {
		f.Add([]byte(seed))
	}
	u := newUsers(f, login.Config{AccountBurst: 1 << 40, AddressBurst: 1 << 40})
	conn := showing(f, u.authority.Issue(f, nil, "ann@example.com"))
	f.Fuzz(func(t *testing.T, response []byte) {
		_, id, err := talk(t, u.house, "EXTERNAL", conn, append([]byte{}, response...))
		if (err == nil) != (id == login.Identity{Account: u.ann, Address: "ann@example.com"}) {
			t.Fatalf("%q: %v, %v", response, id, err)
		}
	})
}
