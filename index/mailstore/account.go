package mailstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// Account is the door to one account's mail. It holds nothing and is safe for concurrent use.
type Account struct {
	store *Store
	id    index.AccountID
}

// ID returns the account's id.
func (a *Account) ID() index.AccountID { return a.id }

// Mailboxes returns the account's mailboxes by name, and with ID 0 the names that are subscribed to
// and are no mailboxes. The first use of an account makes INBOX and the special-use mailboxes.
func (a *Account) Mailboxes(ctx context.Context) (all []index.Mailbox, err error) {
	err = a.read(ctx, func(r kv.Reader) error {
		all, err = mailbox.List(r, a.id)
		return err
	})
	slices.SortFunc(all, func(x, y index.Mailbox) int { return strings.Compare(x.Name, y.Name) })
	return all, err
}

// Mailbox returns one mailbox, or index.ErrNoMailbox.
func (a *Account) Mailbox(ctx context.Context, name string) (m index.Mailbox, err error) {
	name, err = mailbox.CanonicalName(name)
	if err != nil {
		return index.Mailbox{}, index.ErrNoMailbox
	}
	err = a.read(ctx, func(r kv.Reader) error {
		id, ok, err := mailbox.Find(r, a.id, name)
		if err == nil && ok {
			m, ok, err = mailbox.Load(r, a.id, id)
		}
		if err == nil && !ok {
			err = index.ErrNoMailbox
		}
		return err
	})
	return m, err
}

// Open opens a mailbox, or returns index.ErrNoMailbox.
func (a *Account) Open(ctx context.Context, name string) (*Mailbox, error) {
	m, err := a.Mailbox(ctx, name)
	if err != nil {
		return nil, err
	}
	g, err := a.group()
	if err != nil {
		return nil, err
	}
	return &Mailbox{account: a, group: g, info: m}, nil
}

// OpenID opens the mailbox of an id, or returns index.ErrGone. It makes nothing.
func (a *Account) OpenID(ctx context.Context, id index.MailboxID) (*Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &Mailbox{account: a}
	err := a.moment(func(r kv.Reader) error {
		now, ok, err := mailbox.Load(r, a.id, id)
		if err == nil && !ok {
			err = index.ErrGone
		}
		m.info = now
		return err
	})
	if err == nil {
		m.group, err = a.group()
	}
	if err != nil {
		return nil, fmt.Errorf("open mailbox %d of account %d: %w", id, a.id, err)
	}
	return m, nil
}

// Usage returns what the account uses of its quota. It works on every node.
func (a *Account) Usage(ctx context.Context) (index.Usage, error) {
	u, err := a.store.LocalUsage(a.id)
	if errors.Is(err, cluster.ErrNoReplica) && a.store.c.RemoteUsage != nil {
		g, locateErr := a.group()
		if locateErr != nil {
			return index.Usage{}, locateErr
		}
		u, err = a.store.c.RemoteUsage(ctx, g, a.id)
	}
	if err != nil {
		return index.Usage{}, fmt.Errorf("usage of account %d: %w", a.id, err)
	}
	u.BytesLimit, u.MessagesLimit = a.store.c.Limits(a.id)
	return u, nil
}

// Limited reports whether the account has a quota at all, which costs less to ask than Usage.
func (a *Account) Limited() bool {
	bytes, messages := a.store.c.Limits(a.id)
	return bytes != 0 || messages != 0
}

// LocalUsage reads an account's use from this node's replica, without limits. It answers the
// RemoteUsage of other nodes.
func (s *Store) LocalUsage(id index.AccountID) (index.Usage, error) {
	var u index.Usage
	err := s.Account(id).moment(func(r kv.Reader) (err error) {
		u, _, err = mailbox.Account(r, id)
		return err
	})
	return u, err
}

// Watch returns a channel of capacity one that gets a token when something of the account changed in
// the local replica, and the function that ends it. Without a replica there are no tokens.
func (a *Account) Watch() (changed <-chan struct{}, stop func()) {
	g, err := a.group()
	if err == nil {
		var f Feed
		if f, err = a.store.c.Feed(g); err == nil {
			return f.Watch(a.id)
		}
	}
	a.store.c.Logger.Debug("no changes to watch", "account", a.id, "err", err)
	return make(chan struct{}), func() {}
}

// Create makes a mailbox, and those above it that are missing: index.ErrMailboxExists,
// index.ErrInvalidName.
func (a *Account) Create(ctx context.Context, name string, use index.SpecialUse) (index.Mailbox, error) {
	name, err := mailbox.NewName(name)
	if err != nil {
		return index.Mailbox{}, err
	}
	cmd := &indexpb.CreateMailboxCommand{Account: uint64(a.id), Name: name, SpecialUse: uint32(use)}
	res, err := a.change(ctx, command.CreateMailbox, cmd)
	if err != nil {
		return index.Mailbox{}, fmt.Errorf("create mailbox: %w", err)
	}
	m, err := a.Mailbox(ctx, name)
	if errors.Is(err, cluster.ErrNoReplica) {
		return index.Mailbox{ID: index.MailboxID(res.MailboxId), Name: name, UIDValidity: res.UidValidity, UIDNext: 1, SpecialUse: use}, nil
	}
	return m, err
}

// Delete removes a mailbox and its messages; mailboxes below it stay. INBOX is
// index.ErrInvalidName.
func (a *Account) Delete(ctx context.Context, name string) error {
	name, err := mailbox.CanonicalName(name)
	if err != nil {
		return index.ErrNoMailbox
	}
	cmd := &indexpb.DeleteMailboxCommand{Account: uint64(a.id), Name: name}
	if a.store.c.Keep() > 0 {
		_, err = a.change(ctx, command.KeepDeleted, &indexpb.KeepDeletedCommand{Delete: cmd, Limits: a.store.limits(a.id)})
	} else {
		_, err = a.change(ctx, command.DeleteMailbox, cmd)
	}
	if err != nil {
		return fmt.Errorf("delete mailbox: %w", err)
	}
	return nil
}

// Rename gives a mailbox and those below it another name. INBOX stays and gives its messages away
// (RFC 9051, section 6.3.6). Errors are index.ErrNoMailbox, ErrMailboxExists, ErrInvalidName.
func (a *Account) Rename(ctx context.Context, from, to string) error {
	from, err := mailbox.CanonicalName(from)
	if err != nil {
		return index.ErrNoMailbox
	}
	if to, err = mailbox.NewName(to); err != nil {
		return err
	}
	if _, err = a.change(ctx, command.RenameMailbox, &indexpb.RenameMailboxCommand{Account: uint64(a.id), From: from, To: to}); err != nil {
		return fmt.Errorf("rename mailbox: %w", err)
	}
	return nil
}

// Subscribe subscribes to a name, which need not be a mailbox, or ends that.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error {
	name, err := mailbox.CanonicalName(name)
	if err != nil {
		return err
	}
	if _, err = a.change(ctx, command.Subscribe, &indexpb.SubscribeCommand{Account: uint64(a.id), Name: name, Subscribe: on}); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

// group says which partition holds the account.
func (a *Account) group() (cluster.GroupID, error) {
	g, err := a.store.c.Locate(mailbox.OwnerOf(a.id))
	if err != nil {
		return 0, fmt.Errorf("locate account %d: %w", a.id, err)
	}
	return g, nil
}

// change commits a command about mailboxes' names. What the machine finds invalid of those is the
// name.
func (a *Account) change(ctx context.Context, k command.Kind, p payload) (*indexpb.Result, error) {
	g, err := a.group()
	if err != nil {
		return nil, err
	}
	res, err := a.store.change(ctx, g, k, p)
	if errors.Is(err, ErrRefused) {
		return nil, fmt.Errorf("%w: %w", index.ErrInvalidName, err)
	}
	return res, err
}

// snapshot returns this moment of the local replica. The caller closes it.
func (a *Account) snapshot() (kv.Snapshot, error) {
	g, err := a.group()
	if err != nil {
		return nil, err
	}
	return a.store.snapshot(g)
}

// snapshot shows this node's replica of a partition.
func (s *Store) snapshot(g cluster.GroupID) (kv.Snapshot, error) {
	replica, err := s.c.Replica(g)
	if err != nil {
		return nil, fmt.Errorf("find replica of %v: %w", g, err)
	}
	return replica.Snapshot(), nil
}

// read calls fn with a snapshot that has the account, making it where this is its first use.
func (a *Account) read(ctx context.Context, fn func(kv.Reader) error) error {
	ok, err := a.readOnce(fn)
	if err != nil || ok {
		return err
	}
	cmd := &indexpb.CreateMailboxCommand{Account: uint64(a.id), Name: index.Inbox}
	if _, err := a.change(ctx, command.CreateMailbox, cmd); err != nil && !errors.Is(err, index.ErrMailboxExists) {
		return fmt.Errorf("make account %d: %w", a.id, err)
	}
	if ok, err = a.readOnce(fn); err == nil && !ok {
		err = fmt.Errorf("account %d was made and is not there: %w", a.id, cluster.ErrUnavailable)
	}
	return err
}

func (a *Account) readOnce(fn func(kv.Reader) error) (ok bool, err error) {
	err = a.moment(func(r kv.Reader) error {
		if _, ok, err = mailbox.Account(r, a.id); err != nil || !ok {
			return err
		}
		return fn(r)
	})
	return ok, err
}

// moment calls fn with a moment of the local replica, and again with another where the replica's state
// was replaced meanwhile. Where that happens again and again the error is cluster.ErrUnavailable.
//
// Invariant: what fn reads before it first tells somebody else of it includes opening every iterator
// it needs, as those stay whole; so nobody is told a thing twice.
func (a *Account) moment(fn func(kv.Reader) error) error {
	g, err := a.group()
	if err != nil {
		return err
	}
	return a.store.moment(g, fn)
}

// maxRestores is how often in a row a reader puts up with the state being replaced.
const maxRestores = 5

func (s *Store) moment(g cluster.GroupID, fn func(kv.Reader) error) error {
	for range maxRestores {
		replica, err := s.c.Replica(g)
		if err != nil {
			return fmt.Errorf("find replica of %v: %w", g, err)
		}
		if err := once(replica.Snapshot(), fn); !errors.Is(err, kv.ErrRestored) {
			return err
		}
	}
	return fmt.Errorf("read %v: its state was replaced %d times: %w", g, maxRestores, cluster.ErrUnavailable)
}

func once(snap kv.Snapshot, fn func(kv.Reader) error) error {
	defer snap.Close()
	return fn(snap)
}
