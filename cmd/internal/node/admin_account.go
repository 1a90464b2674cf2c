package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/placement"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index/indexpb"
)

var _ adminapi.Accounts = (*Node)(nil)

// Accounts lists the accounts of a domain, or all.
func (n *Node) Accounts(ctx context.Context, domain string) ([]adminapi.Account, error) {
	out := []adminapi.Account{}
	held, err := n.heldAccounts(ctx)
	if err != nil {
		return nil, err
	}
	err = n.view(func(v directory.View) error {
		accounts, err := v.Accounts(domain, "", 0)
		for _, a := range accounts {
			shown := accountOf(a)
			if s, ok := held[a.ID]; ok {
				shown.Sending = &s
			}
			out = append(out, shown)
		}
		return err
	})
	return out, err
}

func accountOf(a directory.Account) adminapi.Account {
	return adminapi.Account{ID: uint64(a.ID), Address: a.Address, Partition: a.Partition.String(),
		QuotaBytes: a.QuotaBytes, QuotaMessages: a.QuotaMessages, Disabled: a.Disabled, Admin: a.Admin, Created: a.Created}
}

// Account shows one account with what it uses.
func (n *Node) Account(ctx context.Context, address string) (adminapi.Account, error) {
	a, err := n.account(address)
	if err != nil {
		return adminapi.Account{}, err
	}
	out := accountOf(a)
	usage, err := n.store.Account(a.ID).Usage(ctx)
	if err != nil {
		return out, err
	}
	out.UsedBytes, out.UsedMessages = usage.Bytes, usage.Messages
	if out.Sending, err = n.sendingOfAccount(ctx, a.Partition, a.ID); err != nil {
		n.log.Warn("what an account has sent is not known", "account", a.Address, "error", err)
	}
	return out, ctx.Err()
}

func (n *Node) account(address string) (a directory.Account, err error) {
	err = n.view(func(v directory.View) error {
		a, err = v.AccountByAddress(address)
		return err
	})
	return a, err
}

// AddAccount makes an account.
func (n *Node) AddAccount(ctx context.Context, a adminapi.Account) (adminapi.Account, error) {
	if a.Password == "" {
		return adminapi.Account{}, fmt.Errorf("%w: an account needs a password", directory.ErrInvalid)
	}
	cred, err := n.derive(a.Password)
	if err != nil {
		return adminapi.Account{}, err
	}
	c, err := directory.CreateAccount(directory.AccountSpec{Address: a.Address, Credential: cred,
		QuotaBytes: a.QuotaBytes, QuotaMessages: a.QuotaMessages, Disabled: a.Disabled, Admin: a.Admin})
	if err != nil {
		return adminapi.Account{}, err
	}
	result, err := n.proposeDirectory(ctx, c)
	if err != nil {
		return adminapi.Account{}, err
	}
	var made directory.Account
	err = n.view(func(v directory.View) error {
		made, err = v.Account(result.Account)
		return err
	})
	return accountOf(made), err
}

// derive makes the stored form of a password.
func (n *Node) derive(password string) (credential.Credential, error) {
	var settings directory.Settings
	err := n.view(func(v directory.View) (err error) {
		settings, err = v.Settings()
		return err
	})
	if err != nil {
		return credential.Credential{}, err
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return credential.Credential{}, fmt.Errorf("draw a salt: %w", err)
	}
	c, err := credential.Derive(password, salt, settings.PasswordIterations)
	// A node of 0.1 would lose the keys of SHA-1 from its copy of the directory.
	if err != nil || !settings.SCRAMSHA1 || n.level() < command.LevelSecond {
		return c, err
	}
	return c.WithSHA1(password)
}

// ChangeAccount changes what is set of c.
func (n *Node) ChangeAccount(ctx context.Context, address string, c adminapi.AccountChange) error {
	a, err := n.account(address)
	if err != nil {
		return err
	}
	change := directory.AccountChange{QuotaBytes: c.QuotaBytes, QuotaMessages: c.QuotaMessages, Disabled: c.Disabled, Admin: c.Admin}
	if c.Password != nil {
		cred, err := n.derive(*c.Password)
		if err != nil {
			return err
		}
		change.Credential = &cred
	}
	cmd, err := directory.UpdateAccount(a.ID, change)
	return n.change(ctx, cmd, err)
}

// DeleteAccount deletes an account and its mail. The mail is dropped on both sides of the account's
// end, so that what was delivered in between goes as well; done twice, it does nothing more.
func (n *Node) DeleteAccount(ctx context.Context, address string) error {
	a, err := n.account(address)
	if err != nil {
		return err
	}
	if err := n.dropMail(ctx, a); err != nil {
		return err
	}
	c, err := directory.DeleteAccount(a.ID)
	if err := n.change(ctx, c, err); err != nil {
		return err
	}
	if err := n.forgetSender(ctx, a.Partition, a.ID); err != nil {
		return err
	}
	if err := n.scripts.forget(ctx, a.Partition, a.ID); err != nil {
		return err
	}
	if err := n.forgetTrainings(ctx, a.Partition, a.ID); err != nil {
		return err
	}
	return n.dropMail(ctx, a)
}

func (n *Node) dropMail(ctx context.Context, a directory.Account) error {
	payload, err := (&indexpb.DropAccountCommand{Account: uint64(a.ID)}).MarshalVT()
	if err != nil {
		return fmt.Errorf("encode the dropping of %s: %w", a.Address, err)
	}
	if _, _, err := n.router.Propose(ctx, a.Partition, command.Command{Kind: command.DropAccount, Payload: payload}); err != nil {
		return fmt.Errorf("drop the mail of %s: %w", a.Address, err)
	}
	return nil
}

// unassign plans the partitions as if a node were gone, so that the directory lets it be removed.
func (n *Node) unassign(ctx context.Context, id cluster.NodeID) error {
	nodes, pm, err := n.membersAndMap()
	if err != nil {
		return err
	}
	var settings directory.Settings
	var made directory.Cluster
	err = n.view(func(v directory.View) (err error) {
		if settings, err = v.Settings(); err != nil {
			return err
		}
		made, err = v.Cluster()
		return err
	})
	if err != nil {
		return err
	}
	without := planned(nodes)
	for i := range without {
		if without[i].ID == id {
			without[i].State = placement.Removed
		}
	}
	current := assignments(made.Partitions, pm)
	changes := changed(current, placement.Place(without, settings.ReplicationFactor, current))
	if slices.ContainsFunc(changes, func(r directory.Replicas) bool { return len(r.Nodes) == 0 }) {
		return fmt.Errorf("%w: no other node can take the replicas of %s", directory.ErrInUse, id)
	}
	if len(changes) == 0 {
		return nil
	}
	c, err := directory.PutPartitionMap(pm.Version, changes...)
	return n.change(ctx, c, err)
}
