package directory

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
)

// Postmaster is the local part that every domain has to take mail for (RFC 5321, section 4.5.1).
const Postmaster = "postmaster"

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

// firstEnabled is the account of the lowest id that is not disabled, among the keys of a prefix, which
// end in the id.
func (v View) firstEnabled(prefix byte) (account Account, found bool, err error) {
	err = scanKeys(v.R, []byte{prefix}, nil, 0, func(key, _ []byte) error {
		if len(key) != 9 {
			return fmt.Errorf("key %x names no account: %w", key, ErrCorrupt)
		}
		account, err = v.Account(cluster.AccountID(binary.BigEndian.Uint64(key[1:])))
		if err == nil && !account.Disabled {
			found, err = true, errStop
		}
		return err
	})
	return account, found, err
}
