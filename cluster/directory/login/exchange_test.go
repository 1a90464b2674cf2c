package login_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/directory/login"
)

// secure is a connection that claims TLS without there being one: enough where nothing is bound.
func secure() login.Conn { return login.Conn{TLS: &tls.ConnectionState{}, Remote: here()} }

// talk runs a mechanism; said are the client's responses, nil first for one without initial response.
// It returns all challenges.
func talk(t *testing.T, h *house, mechanism string, conn login.Conn, said ...[]byte) (heard []string, id login.Identity, err error) {
	t.Helper()
	x, err := h.Server(mechanism, conn)
	if err != nil {
		return nil, login.Identity{}, err
	}
	for _, response := range said {
		challenge, done, err := x.Next(response)
		if err != nil {
			if x.Identity() != (login.Identity{}) {
				t.Errorf("%s failed with %v, but is %v", mechanism, err, x.Identity())
			}
			return heard, login.Identity{}, err
		}
		if done {
			return heard, x.Identity(), nil
		}
		if x.Identity() != (login.Identity{}) {
			t.Errorf("%s is %v before its end", mechanism, x.Identity())
		}
		heard = append(heard, string(challenge))
	}
	return heard, login.Identity{}, errors.New("not done")
}

func TestPasswordMechanisms(t *testing.T) {
	h := newHouse(t, login.Config{})
	ann := login.Identity{Account: h.ann, Address: "ann@example.com"}
	b := func(s string) []byte { return []byte(s) }
	for _, c := range []struct {
		mechanism string
		said      [][]byte
		heard     []string
		want      error
	}{
		{"PLAIN", [][]byte{b("\x00ann@example.com\x00correct horse")}, nil, nil},
		{"plain", [][]byte{nil, b("\x00ann\x00correct horse")}, []string{""}, nil},
		{"PLAIN", [][]byte{b("ann\x00ann\x00correct horse")}, nil, nil},
		{"PLAIN", [][]byte{b("ANN@example.com\x00ann\x00correct horse")}, nil, nil},
		{"PLAIN", [][]byte{b("bob@example.com\x00ann\x00correct horse")}, nil, login.ErrAuthorization},
		{"PLAIN", [][]byte{b("bob@example.com\x00ann\x00wrong")}, nil, login.ErrBadCredentials},
		{"PLAIN", [][]byte{b("ann\x00correct horse")}, nil, login.ErrMalformed},
		{"PLAIN", [][]byte{b("\x00ann\x00correct\x00horse")}, nil, login.ErrMalformed},
		{"PLAIN", [][]byte{b("\x00\x00")}, nil, login.ErrMalformed},
		{"LOGIN", [][]byte{nil, b("ann"), b("correct horse")}, []string{"Username:", "Password:"}, nil},
		{"LOGIN", [][]byte{b("ann"), b("correct horse")}, []string{"Password:"}, nil},
		{"LOGIN", [][]byte{b("ann"), b("")}, []string{"Password:"}, login.ErrBadCredentials},
		{"LOGIN", [][]byte{nil, b("")}, []string{"Username:"}, login.ErrMalformed},
	} {
		heard, id, err := talk(t, h, c.mechanism, secure(), c.said...)
		if !errors.Is(err, c.want) || !slices.Equal(heard, c.heard) || err == nil && id != ann {
			t.Errorf("%s %q: heard %q, %v, %v; want %q, %v", c.mechanism, c.said, heard, id, err, c.heard, c.want)
		}
	}
}

func TestWhatIsOffered(t *testing.T) {
	h := newHouse(t, login.Config{PlainOnLoopback: true})
	open := login.Conn{Remote: here()}
	local := login.Conn{Remote: netip.MustParseAddr("::1")}
	for _, c := range []struct {
		mechanism string
		conn      login.Conn
		want      error
	}{
		{"PLAIN", open, login.ErrEncryption},
		{"LOGIN", open, login.ErrEncryption},
		{"SCRAM-SHA-256", open, nil},
		{"SCRAM-SHA-256-PLUS", open, login.ErrMechanism},
		{"PLAIN", local, nil},
		{"PLAIN", secure(), nil},
		{"CRAM-MD5", secure(), login.ErrMechanism},
	} {
		x, err := h.Server(c.mechanism, c.conn)
		if !errors.Is(err, c.want) || (x == nil) != (err != nil) {
			t.Errorf("%s: %v, want %v", c.mechanism, err, c.want)
		}
	}
	if got := h.Mechanisms(false); !slices.Equal(got, []string{"SCRAM-SHA-256"}) {
		t.Errorf("without TLS: %v", got)
	}
	if got := h.Mechanisms(true); !slices.Equal(got, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"}) {
		t.Errorf("with TLS: %v", got)
	}
	if got := h.MechanismsFor(local); !slices.Equal(got, []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"}) {
		t.Errorf("on loopback: %v", got)
	}
	if got := h.MechanismsFor(open); !slices.Equal(got, []string{"SCRAM-SHA-256"}) {
		t.Errorf("on an open line: %v", got)
	}
}

// scramTalk runs a SCRAM exchange with the client of the library.
func scramTalk(t *testing.T, h *house, mechanism string, conn login.Conn, client *scram.ClientConversation) (login.Identity, error) {
	t.Helper()
	x, err := h.Server(mechanism, conn)
	if err != nil {
		return login.Identity{}, err
	}
	message, err := client.Step("")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		challenge, done, err := x.Next([]byte(message))
		if err != nil {
			return login.Identity{}, err
		}
		if done {
			if !client.Valid() {
				t.Error("the client did not see who the server is")
			}
			return x.Identity(), nil
		}
		if message, err = client.Step(string(challenge)); err != nil {
			t.Fatalf("the client does not understand %q: %v", challenge, err)
		}
	}
	return login.Identity{}, errors.New("no end")
}

func scramClient(t *testing.T, user, password, authzid string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, authzid)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSCRAM(t *testing.T) {
	h := newHouse(t, login.Config{AccountBurst: 5})
	yes := true
	for _, c := range []struct {
		user, password, authzid string
		want                    error
	}{
		{"ann@example.com", "correct horse", "", nil},
		{"ANN", "correct horse", "ann@example.com", nil},
		{"ann", "correct horse", "bob@example.com", login.ErrAuthorization},
		{"ann", "wrong", "", login.ErrBadCredentials},
		{"ann", "wrong", "bob@example.com", login.ErrBadCredentials},
		{"nobody@example.com", "correct horse", "", login.ErrBadCredentials},
		{"a=b,c", "correct horse", "", login.ErrBadCredentials},
	} {
		id, err := scramTalk(t, h, "SCRAM-SHA-256", login.Conn{Remote: here()}, scramClient(t, c.user, c.password, c.authzid).NewConversation())
		if !errors.Is(err, c.want) || err == nil && id != (login.Identity{Account: h.ann, Address: "ann@example.com"}) {
			t.Errorf("%+v: %v, %v", c, id, err)
		}
	}
	h.directory.Must(t)(directory.UpdateAccount(h.bob, directory.AccountChange{Disabled: &yes}))
	bob := func(password string) error {
		_, err := scramTalk(t, h, "SCRAM-SHA-256", login.Conn{Remote: there()}, scramClient(t, "bob", password, "").NewConversation())
		return err
	}
	if err := bob("staple"); !errors.Is(err, login.ErrDisabled) {
		t.Errorf("a disabled account: %v", err)
	}
	for range 5 {
		if err := bob("wrong"); !errors.Is(err, login.ErrBadCredentials) {
			t.Errorf("a guess: %v", err)
		}
	}
	if err := bob("staple"); !errors.Is(err, login.ErrThrottled) {
		t.Errorf("after too many guesses: %v", err)
	}
}

// TestSCRAMSHA1: it is offered where the cluster's setting says so, to accounts that have keys of it; one
// without looks like one that is not there, whatever it proves.
func TestSCRAMSHA1(t *testing.T) {
	h := newHouse(t, login.Config{AccountBurst: 50})
	attempt := func(mechanism, user, password string) error {
		client, err := scram.SHA1.NewClient(user, password, "")
		if err != nil {
			t.Fatal(err)
		}
		id, err := scramTalk(t, h, mechanism, login.Conn{Remote: here()}, client.NewConversation())
		if err == nil && id.Address != "ann@example.com" {
			t.Errorf("%s is %+v", user, id)
		}
		return err
	}
	conn, _ := handshake(t, tls.VersionTLS13)
	if err := attempt("SCRAM-SHA-1", "ann", "correct horse"); !errors.Is(err, login.ErrMechanism) {
		t.Errorf("while it is off: %v", err)
	}
	if got := h.MechanismsFor(conn); slices.Contains(got, "SCRAM-SHA-1") || slices.Contains(got, "SCRAM-SHA-1-PLUS") {
		t.Errorf("while it is off, %q is offered", got)
	}
	h.directory.Must(t)(directory.SetSetting("scram_sha1", "on"))
	want := []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN"}
	if got := h.MechanismsFor(conn); !slices.Equal(got, want) {
		t.Errorf("%q is offered, want %q", got, want)
	}
	if got := h.MechanismsFor(login.Conn{Remote: here()}); !slices.Equal(got, []string{"SCRAM-SHA-256", "SCRAM-SHA-1"}) {
		t.Errorf("without TLS %q is offered", got)
	}
	if err := attempt("SCRAM-SHA-1", "ann", "correct horse"); !errors.Is(err, login.ErrBadCredentials) {
		t.Errorf("a password that was set before: %v", err)
	}
	salt := func(mechanism, user string) string {
		heard, _, _ := talk(t, h, mechanism, login.Conn{Remote: here()}, []byte("n,,n="+user+",r=abc"))
		if len(heard) != 1 {
			t.Fatalf("%s heard %q", user, heard)
		}
		return strings.SplitN(heard[0], ",", 2)[1]
	}
	for _, user := range []string{"ann", "nobody"} {
		if a, b := salt("SCRAM-SHA-256", user), salt("SCRAM-SHA-1", user); a != b {
			t.Errorf("%s has %s by one mechanism and %s by the other", user, a, b)
		}
	}
	c, err := credential.Derive("correct horse", []byte("0123456789abcdef"), credential.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.WithSHA1("correct horse"); err != nil {
		t.Fatal(err)
	}
	h.directory.Must(t)(directory.UpdateAccount(h.ann, directory.AccountChange{Credential: &c}))
	for password, want := range map[string]error{"correct horse": nil, "wrong": login.ErrBadCredentials} {
		if err := attempt("scram-sha-1", "ann", password); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", password, err, want)
		}
	}
	if err := attempt("SCRAM-SHA-1", "nobody", "correct horse"); !errors.Is(err, login.ErrBadCredentials) {
		t.Errorf("nobody: %v", err)
	}
	if err := attempt("SCRAM-SHA-1-PLUS", "ann", "correct horse"); !errors.Is(err, login.ErrMechanism) {
		t.Errorf("PLUS without TLS: %v", err)
	}
	if _, err := scramTalk(t, h, "SCRAM-SHA-256", login.Conn{Remote: here()}, scramClient(t, "ann", "correct horse", "").NewConversation()); err != nil {
		t.Errorf("SHA-256 beside it: %v", err)
	}
}

// TestDecoy holds that who is not there looks like who is, the same each time and on every node.
func TestDecoy(t *testing.T) {
	h, other := newHouse(t, login.Config{}), newHouse(t, login.Config{})
	salt := func(h *house, user string) string {
		heard, _, _ := talk(t, h, "SCRAM-SHA-256", login.Conn{Remote: here()}, []byte("n,,n="+user+",r=abc"))
		if len(heard) != 1 || !strings.HasPrefix(heard[0], "r=abc") || !strings.HasSuffix(heard[0], ",i=4096") {
			t.Fatalf("%s heard %q", user, heard)
		}
		return strings.Split(heard[0], ",")[1]
	}
	if a, b := salt(h, "nobody"), salt(other, "NOBODY"); a != b {
		t.Errorf("nobody has salt %s here and %s there", a, b)
	}
	if salt(h, "nobody") == salt(h, "somebody") {
		t.Error("all decoys have one salt")
	}
	salt(h, "ann")
}

func TestSCRAMMalformed(t *testing.T) {
	h := newHouse(t, login.Config{})
	for _, first := range []string{"x", "n,,n=ann", "n,,m=1,n=ann,r=a", "q,,n=ann,r=a", "n,,n=a=n,r=a", "p=tls-foo,,n=ann,r=a"} {
		if _, _, err := talk(t, h, "SCRAM-SHA-256", secure(), []byte(first)); !errors.Is(err, login.ErrMalformed) {
			t.Errorf("%q: %v", first, err)
		}
	}
	for _, final := range []string{"", "c=biws", "c=biws,r=abc,p=x", "c=biws,r=abc,p=eA=="} {
		if _, _, err := talk(t, h, "SCRAM-SHA-256", secure(), []byte("n,,n=ann,r=abc"), []byte(final)); !errors.Is(err, login.ErrMalformed) {
			t.Errorf("%q: %v", final, err)
		}
	}
	x, err := h.Server("PLAIN", secure())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Next([]byte("junk")); !errors.Is(err, login.ErrMalformed) {
		t.Error(err)
	}
	if _, _, err := x.Next([]byte("\x00ann\x00correct horse")); !errors.Is(err, sasl.ErrUnexpectedClientResponse) {
		t.Errorf("after the end: %v", err)
	}
}

func TestChannelBinding(t *testing.T) {
	h := newHouse(t, login.Config{})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, peer := handshake(t, version)
		other, _ := handshake(t, version)
		exporter, err := scram.NewTLSExporterBinding(&peer)
		if err != nil {
			t.Fatal(err)
		}
		endpoint, err := scram.NewTLSServerEndpointBinding(&peer)
		if err != nil {
			t.Fatal(err)
		}
		ann := scramClient(t, "ann", "correct horse", "")
		for _, c := range []struct {
			name, mechanism string
			conn            login.Conn
			client          *scram.ClientConversation
			want            error
		}{
			{"exporter", "SCRAM-SHA-256-PLUS", conn, ann.NewConversationWithChannelBinding(exporter), nil},
			{"end point", "SCRAM-SHA-256-PLUS", conn, ann.NewConversationWithChannelBinding(endpoint), nil},
			{"other exporter", "SCRAM-SHA-256-PLUS", other, ann.NewConversationWithChannelBinding(exporter), login.ErrChannelBinding},
			{"other end point", "SCRAM-SHA-256-PLUS", other, ann.NewConversationWithChannelBinding(endpoint), login.ErrChannelBinding},
			{"none with PLUS", "SCRAM-SHA-256-PLUS", conn, ann.NewConversation(), login.ErrChannelBinding},
			{"none", "SCRAM-SHA-256", conn, ann.NewConversation(), nil},
			{"downgraded", "SCRAM-SHA-256", conn, ann.NewConversationAdvertisingChannelBinding(), login.ErrChannelBinding},
			{"nothing to bind to", "SCRAM-SHA-256", login.Conn{Remote: here()}, ann.NewConversationAdvertisingChannelBinding(), nil},
		} {
			if _, err := scramTalk(t, h, c.mechanism, c.conn, c.client); !errors.Is(err, c.want) {
				t.Errorf("%s, TLS %x: %v, want %v", c.name, version, err, c.want)
			}
		}
		if got := h.MechanismsFor(conn); len(got) != 4 || got[0] != "SCRAM-SHA-256-PLUS" {
			t.Errorf("offered %v", got)
		}
		h.directory.Must(t)(directory.SetSetting("channel_binding", "off"))
		if got := h.MechanismsFor(conn); slices.Contains(got, "SCRAM-SHA-256-PLUS") {
			t.Errorf("offered %v with channel_binding off", got)
		}
		if _, err := scramTalk(t, h, "SCRAM-SHA-256", conn, ann.NewConversationAdvertisingChannelBinding()); err != nil {
			t.Errorf("a client that could bind, with channel_binding off: %v", err)
		}
		h.directory.Must(t)(directory.SetSetting("channel_binding", "on"))
	}
}

// handshake makes a TLS connection and returns what the server knows of it, and what the client does.
func handshake(t *testing.T, version uint16) (conn login.Conn, peer tls.ConnectionState) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	client := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: "mx"})
	server := tls.Server(far, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: version, MinVersion: version, SessionTicketsDisabled: true,
	})
	done := make(chan error)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	state := server.ConnectionState()
	return login.Conn{TLS: &state, Remote: here(), Certificate: leaf}, client.ConnectionState()
}

// FuzzExchange holds that nobody gets in, and nothing breaks, by any three responses without a password.
func FuzzExchange(f *testing.F) {
	f.Add("PLAIN", []byte("\x00ann\x00x"), []byte{}, []byte{})
	f.Add("LOGIN", []byte("ann"), []byte("x"), []byte{})
	f.Add("SCRAM-SHA-256", []byte("n,,n=ann,r=abc"), []byte("c=biws,r=abc,p=eA=="), []byte{})
	f.Add("SCRAM-SHA-256", []byte("p=tls-exporter,,n=ann,r=abc"), []byte("c=,r=,p="), []byte("x"))
	h := newHouse(f, login.Config{AccountBurst: 1 << 40, AddressBurst: 1 << 40})
	f.Fuzz(func(t *testing.T, mechanism string, first, second, third []byte) {
		if bytes.Contains(append(first, second...), []byte("correct horse")) {
			return
		}
		x, err := h.Server(mechanism, secure())
		if err != nil {
			return
		}
		for _, response := range [][]byte{first, second, third} {
			_, done, err := x.Next(response)
			if done || x.Identity() != (login.Identity{}) {
				t.Fatalf("%s %q %q %q let %v in", mechanism, first, second, third, x.Identity())
			}
			if err != nil {
				return
			}
		}
	})
}
