package login

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/rookery-mail/rookery/cluster/directory/credential"
)

// scramRun is the state of one SCRAM exchange.
type scramRun struct {
	*Exchange
	hash         scram.HashGeneratorFcn
	plus         bool
	bindings     []scram.ChannelBinding // the preferred first
	conversation *scram.ServerConversation
	subject      subject
	lookupErr    error
}

// startSCRAM prepares the exchange of a mechanism with its hash; one with PLUS demands channel binding.
func (x *Exchange) startSCRAM(name string, hash scram.HashGeneratorFcn) (*Exchange, error) {
	r := &scramRun{Exchange: x, hash: hash, plus: strings.HasSuffix(name, "-PLUS"), bindings: x.authenticator.bindings(x.conn)}
	if r.plus && len(r.bindings) == 0 {
		return nil, fmt.Errorf("mechanism %s without a TLS connection to bind to: %w", name, ErrMechanism)
	}
	x.step = r.clientFirst
	return x, nil
}

// clientFirst answers client-first-message with salt and count (RFC 5802, section 7).
func (r *scramRun) clientFirst(response []byte) ([]byte, bool, error) {
	server, err := r.hash.NewServer(r.credential)
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
	keys := scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(s.credential.Salt), Iters: s.credential.Iterations},
		StoredKey:  s.credential.StoredKey[:],
		ServerKey:  s.credential.ServerKey[:],
	}
	if r.hash().Size() == sha1.Size {
		sha1Keys := s.credential.SHA1
		if sha1Keys.IsZero() {
			if sha1Keys, err = decoySHA1(); err != nil {
				r.lookupErr = err
				return scram.StoredCredentials{}, err
			}
			s.known = false // whatever the client proves
		}
		keys.StoredKey, keys.ServerKey = sha1Keys.StoredKey[:], sha1Keys.ServerKey[:]
	}
	r.subject = s
	return keys, nil
}

// decoySHA1 draws keys of no password, for a user that is not there and for one whose password was set
// while no keys of SHA-1 were kept: both show their salt and count and then fail like a wrong password.
// Nobody ever sees the keys, so that they may differ each time.
func decoySHA1() (k credential.SHA1Keys, err error) {
	for _, key := range [][]byte{k.StoredKey[:], k.ServerKey[:]} {
		if _, err := rand.Read(key); err != nil {
			return k, fmt.Errorf("draw decoy keys: %w", err)
		}
	}
	return k, nil
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
		err = refusalOf(answer, err)
	} else if !r.conversation.Valid() || !r.subject.known {
		err = ErrBadCredentials
	}
	if err != nil {
		if errors.Is(err, ErrBadCredentials) {
			r.authenticator.failed(r.conn.Done, r.subject, r.conn.Remote)
		}
		return nil, false, err
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
