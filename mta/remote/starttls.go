package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/rookery-mail/rookery/mta/tlspolicy"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// clear is why no message may go over a connection without TLS; nil where it may.
func (s *session) clear() error {
	if s.need.Level == Opportunistic {
		return nil
	}
	return &tlspolicy.Refusal{Need: s.need, Lack: tlspolicy.NoSTARTTLS}
}

// startTLS has the connection be one with TLS, of a host that shows what is needed, and says hello again. Where nothing is needed,
// and the host offers no TLS, it stays in clear; again says that TLS does not work, and that the message may go without.
func (s *session) startTLS(ctx context.Context) (again bool, err error) {
	if _, offered := s.ext["STARTTLS"]; !offered {
		s.observe(tlsrpt.STARTTLSNotSupported, "")
		return false, s.clear()
	}
	r, err := s.command(s.client.c.Limits.Command, "STARTTLS")
	if err != nil && r == nil {
		return s.without(tlspolicy.Broken, err)
	}
	if r.Code != 220 {
		return s.without(tlspolicy.NoSTARTTLS, r)
	}
	if s.r.Buffered() > 0 {
		return s.without(tlspolicy.NoHandshake, errors.New("plain text behind STARTTLS"))
	}
	if again, err = s.encrypt(ctx); err != nil {
		return again, err
	}
	return false, s.hello()
}

// encrypt has TLS begin, with a host that shows what is needed. again is as of startTLS.
func (s *session) encrypt(ctx context.Context) (again bool, err error) {
	conn := tls.Client(s.conn, tlsConfig(s.need.Name))
	shaking, cancel := context.WithTimeout(ctx, s.client.c.Limits.Connect)
	defer cancel()
	if err := conn.HandshakeContext(shaking); err != nil {
		lack := tlspolicy.NoHandshake
		if broken(err) {
			lack = tlspolicy.Broken
		}
		return s.without(lack, fmt.Errorf("TLS with %s: %w", s.place.host, err))
	}
	s.on(conn)
	if err := s.judge(conn.ConnectionState()); err != nil {
		s.quit()
		return false, err
	}
	return false, nil
}

// extension is why a message with REQUIRETLS may not go over a connection; nil where it may (RFC 8689, section 4.2.1).
func (s *session) extension() error {
	if _, offered := s.ext["REQUIRETLS"]; !s.need.Extension || offered {
		return nil
	}
	s.quit()
	n := s.need
	n.By = tlspolicy.ByRequired
	return &tlspolicy.Refusal{Need: n, Lack: tlspolicy.NoRequireTLS}
}

// without notes that TLS cannot be had, and says what comes of it.
func (s *session) without(lack tlspolicy.Lack, cause error) (again bool, err error) {
	r := &tlspolicy.Refusal{Need: s.need, Lack: lack, Cause: cause}
	s.observe(r.Failure(), cause.Error())
	if s.need.Level == Opportunistic {
		return true, cause
	}
	return false, r
}

// broken reports whether it is the connection that failed and not the handshake.
func broken(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.As(err, &op) && (op.Op == "read" || op.Op == "write")
}

// judge holds what the host has shown against what is needed.
func (s *session) judge(state tls.ConnectionState) error {
	verdict, err := s.need.Judge(state.PeerCertificates, s.client.c.Roots, s.client.c.Clock())
	s.tls = fmt.Sprintf("%s %s, %s", strings.ReplaceAll(tls.VersionName(state.Version), " ", ""), tls.CipherSuiteName(state.CipherSuite), verdict.Text)
	var r *tlspolicy.Refusal
	if errors.As(err, &r) {
		s.observe(r.Failure(), r.Error())
		return err
	}
	s.observe(verdict.Failure, verdict.Detail)
	return err
}

// observe tells what the session is worth.
func (s *session) observe(f tlsrpt.Failure, text string) {
	e := event(s.need, f, text)
	e.HostName = s.greet
	e.Receiving = s.place.address.Addr().String()
	if from := s.place.source.Address; from.IsValid() {
		e.Sending = from.String() // of a connection that another node made this end says nothing
	} else if host, _, err := net.SplitHostPort(s.conn.LocalAddr().String()); err == nil {
		e.Sending = host
	}
	s.client.observe(s.hop, e)
}
