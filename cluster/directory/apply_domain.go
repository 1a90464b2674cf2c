package directory

import (
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// maxTargets bounds an alias, so that one recipient cannot become a mailing list's work.
const maxTargets = 1000

func putDomain(s step, m *directorypb.PutDomain) (*directorypb.Result, error) {
	if err := checkDomain(m.Name); err != nil {
		return nil, err
	}
	if m.GetCatchAll() != "" {
		if err := checkAddress(m.GetCatchAll()); err != nil {
			return nil, err
		}
	}
	record := directorypb.Domain{Name: m.Name, Unicode: m.Unicode, Created: s.now}
	found, err := load(s, domainKey(m.Name), &record)
	if err != nil {
		return nil, err
	}
	if found && !m.Update {
		return nil, refuse(ErrExists, "domain %s is there already", m.Name)
	}
	if !found && m.Update {
		return nil, refuse(ErrNoDomain, "there is no domain %s", m.Name)
	}
	if m.CatchAll != nil {
		record.CatchAll = *m.CatchAll
	}
	return ok(s.store(domainKey(m.Name), &record))
}

func deleteDomain(s step, m *directorypb.DeleteDomain) (*directorypb.Result, error) {
	if err := needDomain(s, m.Name); err != nil {
		return nil, err
	}
	accounts, err := existsUnder(s, addressPrefix(keyAddress, m.Name))
	if err != nil {
		return nil, err
	}
	if accounts {
		return nil, refuse(ErrInUse, "domain %s has accounts; delete or rename them first", m.Name)
	}
	aliases, err := existsUnder(s, addressPrefix(keyAlias, m.Name))
	if err != nil {
		return nil, err
	}
	if aliases {
		return nil, refuse(ErrInUse, "domain %s has aliases; delete them first", m.Name)
	}
	return ok(s.Delete(domainKey(m.Name)))
}

func putAlias(s step, m *directorypb.PutAlias) (*directorypb.Result, error) {
	if err := checkAddress(m.Address); err != nil {
		return nil, err
	}
	if len(m.Targets) == 0 || len(m.Targets) > maxTargets {
		return nil, refuse(ErrInvalid, "alias %s with %d targets; 1 to %d are allowed", m.Address, len(m.Targets), maxTargets)
	}
	for _, target := range m.Targets {
		if err := checkAddress(target); err != nil {
			return nil, err
		}
		if target == m.Address {
			return nil, refuse(ErrInvalid, "alias %s points to itself", m.Address)
		}
	}
	_, domain := splitText(m.Address)
	if err := needDomain(s, domain); err != nil {
		return nil, err
	}
	account, err := exists(s, addressKey(keyAddress, m.Address))
	if err != nil {
		return nil, err
	}
	if account {
		return nil, refuse(ErrExists, "%s is the address of an account", m.Address)
	}
	record := directorypb.Alias{Created: s.now}
	key := addressKey(keyAlias, m.Address)
	if _, err := load(s, key, &record); err != nil {
		return nil, err
	}
	record.Address, record.Targets = m.Address, m.Targets
	return ok(s.store(key, &record))
}

func deleteAlias(s step, m *directorypb.DeleteAlias) (*directorypb.Result, error) {
	if err := checkAddress(m.Address); err != nil {
		return nil, err
	}
	key := addressKey(keyAlias, m.Address)
	found, err := exists(s, key)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(ErrNotFound, "there is no alias %s", m.Address)
	}
	return ok(s.Delete(key))
}

func needDomain(r kv.Reader, name string) error {
	found, err := exists(r, domainKey(name))
	if err != nil {
		return err
	}
	if !found {
		return refuse(ErrNoDomain, "%q is not a domain of this cluster", name)
	}
	return nil
}
