package directory

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
)

// Postmaster is the local part that every domain has to take mail for (RFC 5321, section 4.5.1).
const Postmaster = "postmaster"

// TLSReports is the local part to which others send their reports about TLS with the hosts of a domain (RFC 8460), unless
// the domain names another. It is the postmaster's where nobody has it.
const TLSReports = "tls-reports"

// DMARCReports is the local part to which others send their reports about mail that shows a domain as its author's (DMARC, RFC
// 7489), unless the domain names another. It is the postmaster's where nobody has it.
const DMARCReports = "dmarc-reports"

// isRole reports whether somebody always has a local part.
func isRole(local string) bool {
	return local == Postmaster || local == TLSReports || local == DMARCReports
}

// postmaster adds who answers for a domain without a postmaster of its own.
func (w *walk) postmaster(v View) (found bool, err error) {
	text, _, err := v.Setting("postmaster")
	if err != nil {
		return false, err
	}
	if text != "" && w.visit("setting postmaster") {
		before := w.size()
		if err := w.follow(v, text, 1); err != nil || w.size() > before {
			return true, err
		}
	}
	for _, prefix := range []byte{keyAdmin, keyAccount} {
		account, found, err := v.firstEnabled(prefix)
		if found {
			w.add(account, "")
		}
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// Caretaker is the account that has what belongs to nobody: the first that mail to the postmaster comes to, or else the first
// administrator or account. The error is ErrNoUser where there is no account that is not disabled.
func (v View) Caretaker() (Account, error) {
	r, err := v.Resolve(Postmaster)
	if err == nil && len(r.Accounts) > 0 {
		return r.Accounts[0].Account, nil
	}
	if err != nil && !errors.Is(err, ErrNoUser) {
		return Account{}, err
	}
	for _, prefix := range []byte{keyAdmin, keyAccount} {
		if account, found, err := v.firstEnabled(prefix); found || err != nil {
			return account, err
		}
	}
	return Account{}, refuse(ErrNoUser, "there is no account")
}

// Administrators are the accounts that administer the cluster and are not disabled, by id.
func (v View) Administrators() (list []Account, err error) {
	err = scanKeys(v.R, []byte{keyAdmin}, nil, 0, func(key, _ []byte) error {
		id, err := accountOfKey(key)
		if err != nil {
			return err
		}
		a, err := v.Account(id)
		if err == nil && !a.Disabled {
			list = append(list, a)
		}
		return err
	})
	return list, err
}

func accountOfKey(key []byte) (cluster.AccountID, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("key %x names no account: %w", key, ErrCorrupt)
	}
	return cluster.AccountID(binary.BigEndian.Uint64(key[1:])), nil
}

// firstEnabled is the account of the lowest id that is not disabled, among the keys of a prefix, which
// end in the id.
func (v View) firstEnabled(prefix byte) (account Account, found bool, err error) {
	err = scanKeys(v.R, []byte{prefix}, nil, 0, func(key, _ []byte) error {
		id, err := accountOfKey(key)
		if err != nil {
			return err
		}
		account, err = v.Account(id)
		if err == nil && !account.Disabled {
			found, err = true, errStop
		}
		return err
	})
	return account, found, err
}
