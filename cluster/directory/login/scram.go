package login

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"
)

// scramRun is the state of one SCRAM exchange.
type scramRun struct {
	*Exchange
	plus         bool
	bindings     []scram.ChannelBinding // the preferred first
	conversation *scram.ServerConversation
	subject      subject
	lookupErr    error
}

// startSCRAM prepares the exchange; plus demands channel binding.
func (x *Exchange) startSCRAM(plus bool) error {
	r := &scramRun{Exchange: x, plus: plus, bindings: x.authenticator.bindings(x.conn)}
	if plus && len(r.bindings) == 0 {
		return fmt.Errorf("mechanism %s without a TLS connection to bind to: %w", MechanismSCRAMPlus, ErrMechanism)
	}
	x.step = r.clientFirst
	return nil
}

// clientFirst answers client-first-message with salt and count (RFC 5802, section 7).
func (r *scramRun) clientFirst(response []byte) ([]byte, bool, error) {
	server, err := scram.SHA256.NewServer(r.credential)
	if err != nil {
		return nil, false, fmt.Errorf("start SCRAM: %w", err)
	}
	r.conversation = r.converse(server, string(response))
	answer, err := r.conversation.Step(string(response))
	r.username = r.conversation.Username()
	if r.lookupErr != nil {
		return nil, false, r.lookupErr
	}
	if err != nil {
		return nil, false, refusalOf(answer, err)
	}
	r.step = r.clientFinal
	return []byte(answer), false, nil
}

// converse makes a conversation with the kind of channel binding that the client chose. A client that
// can bind but thinks that we cannot ("y") was lied to, since we offer PLUS where we can: the library
// refuses it.
func (r *scramRun) converse(server *scram.Server, first string) *scram.ServerConversation {
	if len(r.bindings) == 0 {
		return server.NewConversation()
	}
	binding := r.bindings[0]
	for _, b := range r.bindings {
		if strings.HasPrefix(first, "p="+string(b.Type)+",") {
			binding = b
		}
	}
	if r.plus {
		return server.NewConversationWithChannelBindingRequired(binding)
	}
	return server.NewConversationWithChannelBinding(binding)
}

// credential is the library's question for a user. It always gets an answer, a decoy at worst.
func (r *scramRun) credential(username string) (scram.StoredCredentials, error) {
	s, err := r.authenticator.lookup(username)
	if err != nil {
		r.lookupErr = err
		return scram.StoredCredentials{}, err
	}
	r.subject = s
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(s.credential.Salt), Iters: s.credential.Iterations},
		StoredKey:  s.credential.StoredKey[:],
		ServerKey:  s.credential.ServerKey[:],
	}, nil
}

// clientFinal checks the proof. Tokens are taken only here: before, a client has guessed nothing.
func (r *scramRun) clientFinal(response []byte) ([]byte, bool, error) {
	now := r.authenticator.config.Clock()
	ticket, err := r.authenticator.admit(r.subject, r.conn.Remote, now)
	if err != nil {
		return nil, false, err
	}
	answer, err := r.conversation.Step(string(response))
	if err != nil {
		return nil, false, refusalOf(answer, err)
	}
	if !r.conversation.Valid() || !r.subject.known {
		return nil, false, ErrBadCredentials
	}
	ticket.giveBack()
	if authzid := r.conversation.AuthzID(); !r.subject.authorised(r.username, authzid) {
		return nil, false, fmt.Errorf("user %s as %q: %w", r.subject.account.Address, authzid, ErrAuthorization)
	}
	id, err := r.authenticator.accept(r.subject, r.conn.Remote, now)
	if err != nil {
		return nil, false, err
	}
	r.step = func(empty []byte) ([]byte, bool, error) {
		if len(empty) > 0 {
			return nil, false, fmt.Errorf("a response after the end of SCRAM: %w", ErrMalformed)
		}
		r.identity = id
		return nil, true, nil
	}
	return []byte(answer), false, nil
}

// refusalOf tells what the server-error of the library means to us.
func refusalOf(serverError string, err error) error {
	switch serverError {
	case scram.ErrInvalidProof, scram.ErrUnknownUser:
		return ErrBadCredentials
	case scram.ErrChannelBindingsDontMatch, scram.ErrServerDoesSupportChannelBinding,
		scram.ErrChannelBindingNotSupported, scram.ErrUnsupportedChannelBindingType:
		return fmt.Errorf("%w: %v", ErrChannelBinding, err)
	}
	return fmt.Errorf("%w: %v", ErrMalformed, err)
}

// bindingsOf computes what a connection can be bound by: the exporter of TLS 1.3, or of 1.2 with
// extended master secret (RFC 9266), and our certificate (RFC 5929), whose hash is the same on every
// connection and so says less.
func bindingsOf(conn Conn) []scram.ChannelBinding {
	if conn.TLS == nil || !conn.TLS.HandshakeComplete {
		return nil
	}
	var out []scram.ChannelBinding
	if b, err := scram.NewTLSExporterBinding(conn.TLS); err == nil {
		out = append(out, b)
	}
	if conn.Certificate != nil {
		// The library is written for clients: it takes the certificate of the peer.
		seen := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{conn.Certificate}}
		if b, err := scram.NewTLSServerEndpointBinding(seen); err == nil {
			out = append(out, b)
		}
	}
	return out
}
