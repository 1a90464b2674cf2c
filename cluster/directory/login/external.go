package login

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/cluster/directory"
)

// maxChain is how many certificates a client may show, its own among them. More are work that nobody needs.
const maxChain = 8

// offersExternal reports whether EXTERNAL can work on a connection: a client that cannot use it is better off not to
// see it, since some try nothing else then.
func (a *Authenticator) offersExternal(conn Conn) bool {
	if !a.certified(conn) {
		return false
	}
	_, err := a.addressesOf(conn, a.config.Clock())
	return err == nil
}

// certified reports whether the client has shown a certificate, whatever it is worth, where they are taken at all.
func (a *Authenticator) certified(conn Conn) bool {
	return a.config.Authorities != nil && a.config.Authorities() != nil && conn.TLS != nil && len(conn.TLS.PeerCertificates) > 0
}

// startExternal prepares the exchange. What the certificate is worth shows in it, and counts as a failed login.
func (x *Exchange) startExternal() (*Exchange, error) {
	a := x.authenticator
	switch {
	case a.certified(x.conn):
		x.step = x.externalStep
		return x, nil
	case x.conn.TLS == nil && a.config.Authorities != nil && a.config.Authorities() != nil:
		return nil, fmt.Errorf("mechanism %s: %w", MechanismExternal, ErrEncryption)
	}
	return nil, fmt.Errorf("mechanism %s without a certificate: %w", MechanismExternal, ErrMechanism)
}

// externalStep is the only message of EXTERNAL: whom the client wants to act as, or nothing (RFC 4422, appendix A).
// The connection is certified.
func (x *Exchange) externalStep(response []byte) ([]byte, bool, error) {
	authzid := string(response)
	if !utf8.ValidString(authzid) || strings.Contains(authzid, "\x00") {
		return nil, false, fmt.Errorf("EXTERNAL of %d octets: %w", len(response), ErrMalformed)
	}
	a, now := x.authenticator, x.authenticator.config.Clock()
	// The certificate is its own subject: guesses of a password do not lock out who has one, and where it logs in
	// from is no place to guess the password from.
	leaf := sha256.Sum256(x.conn.TLS.PeerCertificates[0].Raw)
	s := subject{key: append([]byte{'c'}, leaf[:]...)}
	ticket, err := a.admit(s, x.conn.Remote, now)
	if err != nil {
		return nil, false, err
	}
	s.account, err = a.vouched(x.conn, authzid, now)
	if errors.Is(err, ErrBadCredentials) || errors.Is(err, ErrAuthorization) {
		return nil, false, err
	}
	ticket.giveBack()
	if err != nil {
		return nil, false, err
	}
	s.known, x.username = true, s.account.Address
	if x.identity, err = a.accept(s, x.conn.Remote, now); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

// addressesOf gives the addresses that the client's certificate is of, once the authorities of this moment vouch for
// it. A resumed TLS session brings the certificate of the first one along, so that time and authorities are looked at
// here and not in the handshake. The error is ErrBadCredentials.
func (a *Authenticator) addressesOf(conn Conn, now time.Time) ([]string, error) {
	chain := conn.TLS.PeerCertificates
	if len(chain) > maxChain {
		return nil, fmt.Errorf("a chain of %d certificates: %w", len(chain), ErrBadCredentials)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	roots := a.config.Authorities()
	if roots == nil { // which to Verify are those of the system
		return nil, fmt.Errorf("no authorities any more: %w", ErrBadCredentials)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("verify certificate %x of a client: %w: %w", chain[0].SerialNumber, ErrBadCredentials, err)
	case len(chain[0].EmailAddresses) == 0:
		return nil, fmt.Errorf("certificate %x of a client has no address: %w", chain[0].SerialNumber, ErrBadCredentials)
	}
	return chain[0].EmailAddresses, nil
}

// vouched gives the account that the client's certificate is of, which authzid has to name where there are several.
// Errors are ErrBadCredentials, ErrAuthorization and those of the directory.
func (a *Authenticator) vouched(conn Conn, authzid string, now time.Time) (_ directory.Account, err error) {
	addresses, err := a.addressesOf(conn, now)
	if err != nil {
		return directory.Account{}, err
	}
	snapshot := a.config.Directory.Snapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	view := directory.View{R: snapshot}
	accounts, err := accountsOf(view, addresses)
	switch {
	case err != nil:
		return directory.Account{}, err
	case len(accounts) == 0:
		return directory.Account{}, fmt.Errorf("no account has an address of the certificate (%.200q): %w", addresses, ErrBadCredentials)
	case authzid == "" && len(accounts) > 1:
		return directory.Account{}, fmt.Errorf("a certificate of %d accounts, none of them named: %w", len(accounts), ErrAuthorization)
	case authzid == "":
		return accounts[0], nil
	}
	wanted, err := find(view, authzid)
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		return directory.Account{}, fmt.Errorf("look up a user: %w", err)
	}
	if err == nil && slices.ContainsFunc(accounts, func(known directory.Account) bool { return known.ID == wanted.ID }) {
		return wanted, nil
	}
	return directory.Account{}, fmt.Errorf("a certificate of %s as %.200q: %w", accounts[0].Address, authzid, ErrAuthorization)
}

// accountsOf gives the accounts whose own addresses these are, each once. Aliases do not count: who may change one is
// not to change who logs in.
func accountsOf(view directory.View, addresses []string) (accounts []directory.Account, err error) {
	for _, text := range addresses {
		account, err := view.AccountByAddress(text)
		if errors.Is(err, directory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up an address of a certificate: %w", err)
		}
		if !slices.ContainsFunc(accounts, func(known directory.Account) bool { return known.ID == account.ID }) {
			accounts = append(accounts, account)
		}
	}
	return accounts, nil
}
