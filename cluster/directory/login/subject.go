package login

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
)

// subject is whom a user name means. One that means nobody, or nobody with a password, has a decoy
// credential, so that it costs and looks the same as one that does.
type subject struct {
	known      bool
	account    directory.Account
	credential credential.Credential
	key        []byte // names the subject in memory and throttle; changes with the password
}

// lookup finds out whom a user name means. Errors are those of the directory.
func (a *Authenticator) lookup(username string) (s subject, err error) {
	snapshot := a.config.Directory.Snapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	view := directory.View{R: snapshot}
	account, err := find(view, username)
	switch {
	case err == nil && !account.Credential.IsZero():
		return subjectOf(account), nil
	case err != nil && !errors.Is(err, directory.ErrNotFound):
		return subject{}, fmt.Errorf("look up a user: %w", err)
	}
	folded := sha256.Sum256([]byte(strings.ToLower(username)))
	decoy, err := decoyOf(view, folded[:])
	if err != nil {
		return subject{}, fmt.Errorf("look up a user: %w", err)
	}
	return subject{credential: decoy, key: append([]byte{'u'}, folded[:]...)}, nil
}

// subjectOf is an account as a subject.
func subjectOf(account directory.Account) subject {
	key := binary.BigEndian.AppendUint64([]byte{'a'}, uint64(account.ID))
	key = binary.BigEndian.AppendUint64(key, account.CredentialVersion)
	return subject{known: true, account: account, credential: account.Credential, key: key}
}

// find returns the account of a user name, or directory.ErrNotFound.
func find(view directory.View, username string) (directory.Account, error) {
	if len(username) > address.MaxLength {
		return directory.Account{}, directory.ErrNotFound
	}
	if strings.Contains(username, "@") {
		return view.AccountByAddress(username)
	}
	domains, err := view.Domains()
	if err != nil {
		return directory.Account{}, err
	}
	if len(domains) != 1 {
		return directory.Account{}, directory.ErrNotFound
	}
	return view.AccountByAddress(username + "@" + domains[0].Name)
}

// decoyOf makes the credential of a user that is not there. SCRAM shows salt and count before any
// proof, so they have to be the same each time and on every node: they come from a secret of the
// cluster. The keys are of no password.
func decoyOf(view directory.View, user []byte) (credential.Credential, error) {
	info, err := view.Cluster()
	if err != nil {
		return credential.Credential{}, err
	}
	settings, err := view.Settings()
	if err != nil {
		return credential.Credential{}, err
	}
	mac := hmac.New(sha256.New, append([]byte("rookery login decoy 1\x00"), info.GossipKey...))
	mac.Write(user)
	decoy := credential.Credential{Salt: mac.Sum(nil)[:credential.SaltSize], Iterations: settings.PasswordIterations}
	mac.Write([]byte("stored key"))
	mac.Sum(decoy.StoredKey[:0])
	mac.Write([]byte("server key"))
	mac.Sum(decoy.ServerKey[:0])
	return decoy, nil
}

// authorised reports whether authzid names the subject itself (RFC 4616, section 2): empty, the same
// words as the user name, or the account's address.
func (s subject) authorised(username, authzid string) bool {
	if authzid == "" || authzid == username {
		return true
	}
	a, err := address.Parse(authzid)
	return err == nil && s.known && a.Fold().String() == s.account.Address
}
