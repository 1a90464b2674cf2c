package login

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"

	"github.com/rookery-mail/rookery/cluster/directory"
)

// The mechanisms, as they stand in AUTH= and AUTH lines.
const (
	MechanismPlain     = "PLAIN"              // RFC 4616
	MechanismLogin     = "LOGIN"              // draft-murchison-sasl-login; Outlook has no other
	MechanismSCRAM     = "SCRAM-SHA-256"      // RFC 7677
	MechanismSCRAMPlus = "SCRAM-SHA-256-PLUS" // RFC 7677, bound to the TLS connection
	// Offered only where the setting oidc_issuer says whose tokens are taken.
	MechanismOAuth   = "OAUTHBEARER" // RFC 7628
	MechanismXOAuth2 = "XOAUTH2"     // Gmail's forerunner of it
	// Offered only where the setting scram_sha1 is on.
	MechanismSHA1     = "SCRAM-SHA-1"      // RFC 5802
	MechanismSHA1Plus = "SCRAM-SHA-1-PLUS" // RFC 5802, bound to the TLS connection
	// Offered only to clients that show a certificate that Config.Authorities vouch for.
	MechanismExternal = "EXTERNAL" // RFC 4422, appendix A
)

// Conn is what an exchange has to know of its connection.
type Conn struct {
	TLS    *tls.ConnectionState // nil without TLS
	Remote netip.Addr           // the client
	// Certificate is the one that we showed on this connection. Without it the channel binding
	// tls-server-end-point (RFC 5929) cannot be used, only tls-exporter (RFC 9266).
	Certificate *x509.Certificate
	// Done ends waiting when it is closed, since the client is gone; nil never is.
	Done <-chan struct{}
}

// Exchange is one run of a mechanism. It is for one goroutine. It never returns a challenge together
// with done: a server's last word, as SCRAM has one, is a challenge that the client answers with
// nothing (RFC 4422, section 5, item 3), which works in every protocol.
type Exchange struct {
	authenticator *Authenticator
	conn          Conn
	step          func(response []byte) (challenge []byte, done bool, err error)
	prompt        []byte // for a client that sent no initial response
	username      string
	identity      Identity
	started       bool
	finished      bool
}

var _ sasl.Server = (*Exchange)(nil)

// Mechanisms lists what is offered with or without TLS, the best first.
func (a *Authenticator) Mechanisms(tlsActive bool) []string {
	if tlsActive {
		return []string{MechanismSCRAMPlus, MechanismSCRAM, MechanismPlain, MechanismLogin}
	}
	return []string{MechanismSCRAM}
}

// MechanismsFor lists what is offered on a connection. It knows more than Mechanisms: clients of this
// machine may be allowed PLAIN without TLS, without channel binding there is no PLUS, the cluster may offer
// SCRAM-SHA-1 and take the tokens of an issuer, and who has shown a certificate may use EXTERNAL.
func (a *Authenticator) MechanismsFor(conn Conn) []string {
	var out []string
	if a.offersExternal(conn) {
		out = append(out, MechanismExternal)
	}
	binds := len(a.bindings(conn)) > 0
	if binds {
		out = append(out, MechanismSCRAMPlus)
	}
	out = append(out, MechanismSCRAM)
	if a.offersSHA1() {
		if binds {
			out = append(out, MechanismSHA1Plus)
		}
		out = append(out, MechanismSHA1)
	}
	if !a.private(conn) {
		return out
	}
	if _, ok := a.trust(); ok {
		out = append(out, MechanismOAuth, MechanismXOAuth2)
	}
	return append(out, MechanismPlain, MechanismLogin)
}

// offersSHA1 reads the cluster's setting scram_sha1. One that cannot be read is off.
func (a *Authenticator) offersSHA1() bool { return a.setting("scram_sha1", "off") == "on" }

// setting is the text of a setting of the cluster, or fallback where it cannot be read.
func (a *Authenticator) setting(name, fallback string) string {
	snapshot := a.config.Directory.Snapshot()
	defer snapshot.Close()
	text, _, err := (directory.View{R: snapshot}).Setting(name)
	if err != nil {
		return fallback
	}
	return text
}

// bindings computes what the connection can be bound by; nothing where the cluster's setting
// channel_binding is off. A setting that cannot be read is on.
func (a *Authenticator) bindings(conn Conn) []scram.ChannelBinding {
	if a.setting("channel_binding", "on") != "on" {
		return nil
	}
	return bindingsOf(conn)
}

// private reports whether a password, or a token, may cross the connection as it is.
func (a *Authenticator) private(conn Conn) bool {
	return conn.TLS != nil || a.config.PlainOnLoopback && conn.Remote.Unmap().IsLoopback()
}

// Server starts an exchange of a mechanism, whose name may be in any case. Errors are ErrMechanism and
// ErrEncryption.
func (a *Authenticator) Server(mechanism string, conn Conn) (*Exchange, error) {
	x := &Exchange{authenticator: a, conn: conn, prompt: []byte{}}
	name := strings.ToUpper(mechanism)
	switch name {
	case MechanismPlain:
		x.step = x.plainStep
	case MechanismLogin:
		x.step, x.prompt = x.loginStep, []byte("Username:")
	case MechanismExternal:
		return x.startExternal()
	case MechanismOAuth, MechanismXOAuth2:
		if err := x.startBearer(name); err != nil {
			return nil, err
		}
	case MechanismSHA1, MechanismSHA1Plus:
		if !a.offersSHA1() {
			return nil, fmt.Errorf("mechanism %s: %w", name, ErrMechanism)
		}
		return x.startSCRAM(name, scram.SHA1)
	case MechanismSCRAM, MechanismSCRAMPlus:
		return x.startSCRAM(name, scram.SHA256)
	default:
		return nil, fmt.Errorf("mechanism %.40q: %w", mechanism, ErrMechanism)
	}
	if !a.private(conn) {
		return nil, fmt.Errorf("mechanism %s: %w", name, ErrEncryption)
	}
	return x, nil
}

// Next takes the client's response and returns the next challenge, or done. On the first call nil is
// for a client that sent no initial response. One of no octets is another thing (RFC 4422, section 4): to EXTERNAL it
// is all there is to say, to the others malformed.
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	if x.finished {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	if !x.started {
		x.started = true
		if response == nil {
			return x.prompt, false, nil
		}
	}
	challenge, done, err = x.step(response)
	if err != nil || done {
		x.finished = true
		x.authenticator.settle(x.username, x.conn.Remote, err)
	}
	if err != nil {
		x.identity = Identity{}
	}
	return challenge, done, err
}

// Identity returns who the client is, once Next has said done without an error; before that, nobody.
func (x *Exchange) Identity() Identity {
	if !x.finished {
		return Identity{}
	}
	return x.identity
}
