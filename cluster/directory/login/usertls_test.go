package login_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/directory/logintest"
)

// meet makes a TLS connection to a door and returns what the door knows of it and what the client does, after the
// client has got its session ticket.
func meet(t *testing.T, door, client *tls.Config) (login.Conn, tls.ConnectionState) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type seen struct {
		conn login.Conn
		err  error
	}
	met := make(chan seen, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			met <- seen{err: err}
			return
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(time.Minute)) // a connection that was just made takes one
		tc, err := login.Handshake(t.Context(), nc, door)
		if err != nil {
			met <- seen{err: err}
			return
		}
		_, err = tc.Write([]byte("x"))
		met <- seen{login.Conn{Remote: here()}.WithTLS(tc), err}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		t.Fatalf("dial: %v; the door: %v", err, (<-met).err)
	}
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	s := <-met
	if err != nil || s.err != nil {
		t.Fatalf("the client: %v; the door: %v", err, s.err)
	}
	return s.conn, c.ConnectionState()
}

// TestUserTLS: certificates are asked for of the authorities of the moment, nobody has to have one, and a resumed
// session brings it along.
func TestUserTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		u := newUsers(t, login.Config{})
		site := logintest.NewAuthority(t, "site")
		shown := site.Issue(t, func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"mx"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})
		var pool atomic.Pointer[x509.CertPool]
		door := login.UserTLS(&tls.Config{Certificates: []tls.Certificate{shown}, MaxVersion: version}, pool.Load)
		var asked atomic.Int32
		client := func(certs ...tls.Certificate) *tls.Config {
			return &tls.Config{RootCAs: site.Pool(), ServerName: "mx", ClientSessionCache: tls.NewLRUClientSessionCache(4),
				GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked.Add(1)
					for i := range certs {
						if len(certs) > 1 || r.SupportsCertificate(&certs[i]) == nil { // who has two shows one whatever is asked for
							return &certs[i], nil
						}
					}
					return new(tls.Certificate), nil
				}}
		}
		certificates := func(what string, conn login.Conn, want int32, external bool) {
			t.Helper()
			if n := asked.Swap(0); n != want {
				t.Errorf("TLS %x, %s: asked %d times, want %d", version, what, n, want)
			}
			if got := u.MechanismsFor(conn); slices.Contains(got, "EXTERNAL") != external {
				t.Errorf("TLS %x, %s: offered %v", version, what, got)
			}
			if len(conn.TLS.PeerCertificates) == 0 && external {
				t.Errorf("TLS %x, %s: no certificate", version, what)
			}
		}
		ann := u.authority.Issue(t, nil, "ann@example.com")
		conn, _ := meet(t, door, client(ann))
		certificates("no authorities yet", conn, 0, false)
		pool.Store(u.pool)
		conn, _ = meet(t, door, client())
		certificates("a client without a certificate", conn, 1, false)
		if conn.Certificate == nil {
			t.Errorf("TLS %x: the door does not know what it has shown", version)
		}
		foreign := logintest.NewAuthority(t, "others").Issue(t, nil, "ann@example.com")
		conn, _ = meet(t, door, client(foreign, foreign))
		certificates("a certificate of others", conn, 1, false)

		with := client(ann)
		conn, _ = meet(t, door, with)
		certificates("a certificate", conn, 1, true)
		conn, state := meet(t, door, with)
		if !state.DidResume {
			t.Fatalf("TLS %x: the session was not resumed", version)
		}
		certificates("a resumed session", conn, 0, true)
		if _, id, err := talk(t, u.house, "EXTERNAL", conn, []byte{}); err != nil || id.Account != u.ann {
			t.Errorf("TLS %x, a resumed session: %v, %v", version, id, err)
		}

		// Other authorities: a client shows only what is asked for, and what it brings along is worth nothing.
		others := logintest.NewAuthority(t, "later")
		u.pool = others.Pool()
		pool.Store(u.pool)
		conn, _ = meet(t, door, client(ann))
		certificates("another authority", conn, 1, false)
		conn, _ = meet(t, door, with)
		certificates("a session of before", conn, 0, false)
		conn, _ = meet(t, door, client(others.Issue(t, nil, "ann@example.com")))
		certificates("a certificate of the other authority", conn, 1, true)
	}
}

// TestUserTLSIsKept: a configuration is made for the authorities, not for each connection.
func TestUserTLSIsKept(t *testing.T) {
	pool := logintest.NewAuthority(t, "users").Pool()
	config := login.UserTLS(&tls.Config{}, func() *x509.CertPool { return pool })
	variant := func() *tls.Config {
		t.Helper()
		c, err := config.GetConfigForClient(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := variant()
	if variant() != first || first.ClientAuth != tls.RequestClientCert || first.GetCertificate == nil || first.MinVersion != tls.VersionTLS12 {
		t.Errorf("the variant is %+v", first)
	}
	pool = logintest.NewAuthority(t, "others").Pool()
	if second := variant(); second == first || second.ClientCAs != pool {
		t.Error("the variant of other authorities is the old one")
	}
	pool = nil
	if variant() != nil {
		t.Error("without authorities there is a variant")
	}
	if login.UserTLS(nil, func() *x509.CertPool { return pool }) != nil {
		t.Error("TLS out of nothing")
	}
}
