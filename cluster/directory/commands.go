package directory

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// The functions of this file and of commands_node.go build commands. They bring names and values into
// the form that is stored, and refuse with ErrInvalid what has none; what depends on the state is
// decided when the command is executed. Identity and time of the command are left to the proposer.

// AccountSpec is a new account.
type AccountSpec struct {
	Address       string
	DisplayName   string
	Credential    credential.Credential // zero: nobody can log in yet
	QuotaBytes    uint64
	QuotaMessages uint64
	Disabled      bool
	Admin         bool
}

// AccountChange changes the fields that are not nil.
type AccountChange struct {
	Address       *string // the old address is free afterwards
	DisplayName   *string
	Credential    *credential.Credential
	QuotaBytes    *uint64
	QuotaMessages *uint64
	Disabled      *bool
	Admin         *bool
}

// CreateDomain adds a mail domain; catchAll is an address or empty.
func CreateDomain(name, catchAll string) (command.Command, error) {
	return domainCommand(name, catchAll, false)
}

// UpdateDomain sets the catch-all address of a domain; empty takes it away.
func UpdateDomain(name, catchAll string) (command.Command, error) {
	return domainCommand(name, catchAll, true)
}

func domainCommand(name, catchAll string, update bool) (command.Command, error) {
	ascii, err := address.ParseDomain(name)
	if err != nil {
		return command.Command{}, invalid(err)
	}
	if catchAll != "" {
		if catchAll, err = targetText(catchAll); err != nil {
			return command.Command{}, err
		}
	}
	return build(command.PutDomain, &directorypb.PutDomain{
		Name: ascii, Unicode: address.UnicodeDomain(ascii), CatchAll: &catchAll, Update: update,
	})
}

// DeleteDomain takes a domain away. It is refused with ErrInUse while it has accounts or aliases.
func DeleteDomain(name string) (command.Command, error) {
	ascii, err := address.ParseDomain(name)
	if err != nil {
		return command.Command{}, invalid(err)
	}
	return build(command.DeleteDomain, &directorypb.DeleteDomain{Name: ascii})
}

// CreateAccount makes an account. The result names it and its partition.
func CreateAccount(spec AccountSpec) (command.Command, error) {
	text, err := ownText(spec.Address)
	if err != nil {
		return command.Command{}, err
	}
	return build(command.PutAccount, &directorypb.PutAccount{
		Address: &text, DisplayName: &spec.DisplayName, Credential: credentialMessage(spec.Credential),
		QuotaBytes: &spec.QuotaBytes, QuotaMessages: &spec.QuotaMessages,
		Disabled: &spec.Disabled, Admin: &spec.Admin,
	})
}

// UpdateAccount changes an account.
func UpdateAccount(id cluster.AccountID, c AccountChange) (command.Command, error) {
	if id == 0 {
		return command.Command{}, refuse(ErrInvalid, "account 0 is no account")
	}
	m := &directorypb.PutAccount{
		Id: uint64(id), DisplayName: c.DisplayName, QuotaBytes: c.QuotaBytes, QuotaMessages: c.QuotaMessages,
		Disabled: c.Disabled, Admin: c.Admin,
	}
	if c.Credential != nil {
		if err := c.Credential.Check(); err != nil {
			return command.Command{}, invalid(err)
		}
		m.Credential = credentialMessage(*c.Credential)
	}
	if c.Address != nil {
		text, err := ownText(*c.Address)
		if err != nil {
			return command.Command{}, err
		}
		m.Address = &text
	}
	return build(command.PutAccount, m)
}

// DeleteAccount frees the account's address. Its mail stays until the caller proposes a
// command.DropAccount to the partition that the result names.
func DeleteAccount(id cluster.AccountID) (command.Command, error) {
	return build(command.DeleteAccount, &directorypb.DeleteAccount{Id: uint64(id)})
}

// PutAlias makes an alias or replaces its targets, which may be ours or not.
func PutAlias(text string, targets ...string) (command.Command, error) {
	own, err := ownText(text)
	if err != nil {
		return command.Command{}, err
	}
	m := &directorypb.PutAlias{Address: own}
	for _, target := range targets {
		to, err := targetText(target)
		if err != nil {
			return command.Command{}, err
		}
		m.Targets = append(m.Targets, to)
	}
	return build(command.PutAlias, m)
}

// DeleteAlias takes an alias away.
func DeleteAlias(text string) (command.Command, error) {
	own, err := ownText(text)
	if err != nil {
		return command.Command{}, err
	}
	return build(command.DeleteAlias, &directorypb.DeleteAlias{Address: own})
}

// SetSetting sets a setting of Definitions.
func SetSetting(name, value string) (command.Command, error) {
	canonical, err := ParseSetting(name, value)
	if err != nil {
		return command.Command{}, err
	}
	return build(command.PutSetting, &directorypb.PutSetting{Name: name, Value: &canonical})
}

// ResetSetting takes a setting back to its default. Any name is taken, so that a setting of another
// version can be cleared.
func ResetSetting(name string) (command.Command, error) {
	return build(command.PutSetting, &directorypb.PutSetting{Name: name})
}

// ownText is the stored form of an address of ours.
func ownText(text string) (string, error) {
	a, err := address.Parse(text)
	if err != nil {
		return "", invalid(err)
	}
	if a.IsLiteral() {
		return "", refuse(ErrInvalid, "%s is not in a domain", text)
	}
	if len(a.Local) > address.MaxLocal {
		return "", refuse(ErrInvalid, "%s: a local part of %d octets, %d are allowed", text, len(a.Local), address.MaxLocal)
	}
	return a.Fold().String(), nil
}

// targetText is the stored form of an address that may be anybody's: it keeps its case.
func targetText(text string) (string, error) {
	a, err := address.Parse(text)
	if err != nil {
		return "", invalid(err)
	}
	return a.String(), nil
}

func invalid(err error) error { return refuse(ErrInvalid, "%v", err) }

func build(kind command.Kind, m record) (command.Command, error) {
	payload, err := m.MarshalVT()
	if err != nil {
		return command.Command{}, fmt.Errorf("encode %v: %w", kind, err)
	}
	return command.Command{Kind: kind, Payload: payload}, nil
}
