package directory

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// Account returns an account, or ErrNotFound.
func (v View) Account(id cluster.AccountID) (Account, error) {
	var m directorypb.Account
	found, err := load(v.R, accountKey(id), &m)
	if err != nil {
		return Account{}, err
	}
	if !found {
		return Account{}, refuse(ErrNotFound, "there is no account %d", id)
	}
	return accountOf(&m), nil
}

// AccountByAddress returns the account whose primary address this is, in any form of writing, or
// ErrNotFound. Aliases and subaddresses are for Resolve.
func (v View) AccountByAddress(text string) (Account, error) {
	a, err := address.Parse(text)
	if err != nil {
		return Account{}, refuse(ErrNotFound, "%v", err)
	}
	account, found, err := v.accountAt(a.Fold().String())
	if err != nil {
		return Account{}, err
	}
	if !found {
		return Account{}, refuse(ErrNotFound, "there is no account %s", a)
	}
	return account, nil
}

// accountAt is AccountByAddress for a folded canonical text.
func (v View) accountAt(text string) (Account, bool, error) {
	id, err := loadNumber(v.R, addressKey(keyAddress, text))
	if err != nil || id == 0 {
		return Account{}, false, err
	}
	var m directorypb.Account
	found, err := load(v.R, accountKey(cluster.AccountID(id)), &m)
	if err == nil && !found {
		err = fmt.Errorf("address %s is of account %d, which is not there: %w", text, id, ErrCorrupt)
	}
	if err != nil {
		return Account{}, false, err
	}
	return accountOf(&m), true, nil
}

// Accounts returns at most limit accounts (0: all) by address: of one domain, or of all where domain
// is empty, with addresses behind after, which is the Account.Address that an earlier call ended with.
func (v View) Accounts(domain, after string, limit int) ([]Account, error) {
	prefix, behind, err := addressRange(keyAddress, domain, after)
	if err != nil {
		return nil, err
	}
	var out []Account
	err = scanKeys(v.R, prefix, behind, limit, func(key, value []byte) error {
		if len(value) != 8 {
			return fmt.Errorf("read key %x: %w", key, ErrCorrupt)
		}
		account, err := v.Account(cluster.AccountID(binary.BigEndian.Uint64(value)))
		if err == nil {
			out = append(out, account)
		}
		return err
	})
	return out, err
}

// Alias returns an alias, or ErrNotFound.
func (v View) Alias(text string) (Alias, error) {
	a, err := address.Parse(text)
	if err != nil {
		return Alias{}, refuse(ErrNotFound, "%v", err)
	}
	var m directorypb.Alias
	found, err := load(v.R, addressKey(keyAlias, a.Fold().String()), &m)
	if err != nil {
		return Alias{}, err
	}
	if !found {
		return Alias{}, refuse(ErrNotFound, "there is no alias %s", a)
	}
	return aliasOf(&m), nil
}

// Aliases pages through aliases as Accounts does through accounts.
func (v View) Aliases(domain, after string, limit int) ([]Alias, error) {
	prefix, behind, err := addressRange(keyAlias, domain, after)
	if err != nil {
		return nil, err
	}
	var out []Alias
	err = scan(v.R, prefix, behind, limit, func(m *directorypb.Alias) error {
		out = append(out, aliasOf(m))
		return nil
	})
	return out, err
}

// addressRange is the prefix of the keys of a domain, or of all, and the key to go on behind.
func addressRange(kind byte, domain, after string) (prefix, behind []byte, err error) {
	prefix = []byte{kind}
	if domain != "" {
		ascii, err := address.ParseDomain(domain)
		if err != nil {
			return nil, nil, refuse(ErrNoDomain, "%v", err)
		}
		prefix = addressPrefix(kind, ascii)
	}
	if after != "" {
		behind = addressKey(kind, after)
	}
	return prefix, behind, nil
}

// Limits returns the quota of an account, its own or the cluster's; 0 is none.
func (v View) Limits(id cluster.AccountID) (bytes, messages uint64, err error) {
	account, err := v.Account(id)
	if err != nil {
		return 0, 0, err
	}
	bytes, messages = account.QuotaBytes, account.QuotaMessages
	if bytes != 0 && messages != 0 {
		return bytes, messages, nil
	}
	settings, err := v.Settings()
	if err != nil {
		return 0, 0, err
	}
	if bytes == 0 {
		bytes = settings.QuotaBytes
	}
	if messages == 0 {
		messages = settings.QuotaMessages
	}
	return bytes, messages, nil
}

// Locate returns the partition of an account, or ErrNotFound.
func (v View) Locate(id cluster.AccountID) (cluster.GroupID, error) {
	account, err := v.Account(id)
	return account.Partition, err
}

// PartitionAccounts returns how many accounts a partition has.
func (v View) PartitionAccounts(g cluster.GroupID) (uint64, error) {
	return loadNumber(v.R, partitionCountKey(g))
}

// HasAdmin reports whether any account administers the cluster.
func (v View) HasAdmin() (bool, error) { return existsUnder(v.R, []byte{keyAdmin}) }
