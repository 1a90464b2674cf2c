package directory

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

func putAccount(s step, m *directorypb.PutAccount) (*directorypb.Result, error) {
	record, err := s.accountToPut(m)
	if err != nil {
		return nil, err
	}
	if m.Credential != nil {
		if err := checkCredential(m.Credential); err != nil {
			return nil, err
		}
	}
	oldAddress := record.Address
	if m.Address != nil && *m.Address != oldAddress {
		if err := s.checkFree(*m.Address); err != nil {
			return nil, err
		}
	}
	if record.Id == 0 {
		if err := s.place(record); err != nil {
			return nil, err
		}
	}
	change(record, m)
	if err := s.indexAccount(record, oldAddress); err != nil {
		return nil, err
	}
	if err := s.store(accountKey(cluster.AccountID(record.Id)), record); err != nil {
		return nil, err
	}
	return &directorypb.Result{Account: record.Id, Partition: record.Partition}, nil
}

// accountToPut is the account that m changes, or an empty record where it makes one.
func (s step) accountToPut(m *directorypb.PutAccount) (*directorypb.Account, error) {
	if m.Id != 0 {
		return s.needAccount(cluster.AccountID(m.Id))
	}
	if m.Address == nil {
		return nil, refuse(ErrInvalid, "an account without an address")
	}
	return &directorypb.Account{Created: s.now}, nil
}

func (s step) needAccount(id cluster.AccountID) (*directorypb.Account, error) {
	var record directorypb.Account
	found, err := load(s, accountKey(id), &record)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(ErrNotFound, "there is no account %d", id)
	}
	return &record, nil
}

func checkCredential(m *directorypb.Credential) error {
	if len(m.StoredKey) != 32 || len(m.ServerKey) != 32 {
		return refuse(ErrInvalid, "a credential with keys of %d and %d bytes", len(m.StoredKey), len(m.ServerKey))
	}
	if err := credentialOf(m).Check(); err != nil {
		return refuse(ErrInvalid, "a credential that cannot be used: %v", err)
	}
	return nil
}

// checkFree refuses an address that is not of a domain of ours or that somebody has.
func (s step) checkFree(text string) error {
	if err := checkAddress(text); err != nil {
		return err
	}
	_, domain := splitText(text)
	if err := needDomain(s, domain); err != nil {
		return err
	}
	for _, use := range []struct {
		kind byte
		name string
	}{{keyAddress, "account"}, {keyAlias, "alias"}} {
		taken, err := exists(s, addressKey(use.kind, text))
		if err != nil {
			return err
		}
		if taken {
			return refuse(ErrExists, "there is an %s %s already", use.name, text)
		}
	}
	return nil
}

// place gives a new account its id and the partition with the fewest accounts, the lowest number of
// those. It writes the counters.
func (s step) place(record *directorypb.Account) error {
	info, err := needCluster(s)
	if err != nil {
		return err
	}
	last, err := loadNumber(s, lastAccountKey())
	if err != nil {
		return err
	}
	counts, err := s.partitionCounts(int(info.Partitions))
	if err != nil {
		return err
	}
	best := 0
	for i, n := range counts {
		if n < counts[best] {
			best = i
		}
	}
	record.Id, record.Partition = last+1, uint32(best+1)
	if err := s.storeNumber(lastAccountKey(), record.Id); err != nil {
		return err
	}
	return s.storeNumber(partitionCountKey(cluster.GroupID(record.Partition)), counts[best]+1)
}

// partitionCounts is the number of accounts of partition i+1 at i.
func (s step) partitionCounts(partitions int) ([]uint64, error) {
	counts := make([]uint64, partitions)
	first := partitionCountKey(1)
	it, err := s.Scan(first, partitionCountKey(cluster.GroupID(partitions+1)))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for valid := it.First(); valid; valid = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		if len(it.Key()) != len(first) || len(value) != 8 {
			return nil, fmt.Errorf("read key %x: %w", it.Key(), ErrCorrupt)
		}
		counts[binary.BigEndian.Uint16(it.Key()[2:])-1] = binary.BigEndian.Uint64(value)
	}
	return counts, it.Error()
}

// change puts the fields that are set in m into record.
func change(record *directorypb.Account, m *directorypb.PutAccount) {
	if m.Address != nil {
		record.Address = *m.Address
	}
	if m.DisplayName != nil {
		record.DisplayName = *m.DisplayName
	}
	if m.Credential != nil {
		record.Credential = m.Credential
		record.CredentialVersion++
	}
	if m.QuotaBytes != nil {
		record.QuotaBytes = *m.QuotaBytes
	}
	if m.QuotaMessages != nil {
		record.QuotaMessages = *m.QuotaMessages
	}
	if m.Disabled != nil {
		record.Disabled = *m.Disabled
	}
	if m.Admin != nil {
		record.Admin = *m.Admin
	}
}

// indexAccount makes the address and admin keys fit the record, which had oldAddress before.
func (s step) indexAccount(record *directorypb.Account, oldAddress string) error {
	id := cluster.AccountID(record.Id)
	if oldAddress != "" && oldAddress != record.Address {
		if err := s.Delete(addressKey(keyAddress, oldAddress)); err != nil {
			return err
		}
	}
	if err := s.storeNumber(addressKey(keyAddress, record.Address), record.Id); err != nil {
		return err
	}
	if record.Admin {
		return s.Set(adminKey(id), nil)
	}
	return s.Delete(adminKey(id))
}

func deleteAccount(s step, m *directorypb.DeleteAccount) (*directorypb.Result, error) {
	id := cluster.AccountID(m.Id)
	record, err := s.needAccount(id)
	if err != nil {
		return nil, err
	}
	countKey := partitionCountKey(cluster.GroupID(record.Partition))
	count, err := loadNumber(s, countKey)
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, fmt.Errorf("partition %d has an account but counts none: %w", record.Partition, ErrCorrupt)
	}
	if err := s.storeNumber(countKey, count-1); err != nil {
		return nil, err
	}
	for _, key := range [][]byte{addressKey(keyAddress, record.Address), adminKey(id), accountKey(id)} {
		if err := s.Delete(key); err != nil {
			return nil, err
		}
	}
	if err := s.forgetSharing(id); err != nil {
		return nil, err
	}
	return &directorypb.Result{Account: record.Id, Partition: record.Partition}, nil
}
