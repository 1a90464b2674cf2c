// Package partition is the state machine of one partition: it dispatches commands to index/mailbox
// and index/staging, and tells watchers of an account that something of it changed. It is driven by
// cluster/exactlyonce in the order of the log; it decides nothing, and all it keeps is who watches and
// a cache of keys.
package partition

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/staging"
)

// ErrKind says that a command is of a kind that this version does not execute.
var ErrKind = command.ErrKind

// Partition executes the commands of one partition. Execute, Committed and Restored are for the
// goroutine that applies the log; Watch is for any.
type Partition struct {
	feed  feed
	cache cache // of the goroutine that applies the log
	more  []Extension
}

// Config is what a Partition is made of.
type Config struct {
	// Touched hears of each account that committed commands changed, from the goroutine that applies the log, so it
	// returns at once. After the state was replaced nothing is told. Nil: nobody hears.
	Touched func(index.AccountID)
	// More execute the kinds that are not mail's; at most one is a Holder. None: they are ErrKind.
	More []Extension
}

// Extension is a state machine whose commands change mail as well, in the same step.
type Extension interface {
	// Execute applies c to b and returns its encoded result, or command.ErrKind for a kind that is not its own. x is the
	// execution of the same command.
	Execute(x *mailbox.Execution, b kv.Batch, c command.Command) ([]byte, error)
	// Committed hears that what was executed since the last call, or all of another state, can be read. It
	// returns at once.
	Committed()
	// Restored hears that the keys are others now, before Committed does.
	Restored()
}

// Holder is an Extension that has bodies of its own.
type Holder interface {
	// Users lists what of its own has bodies, as mailbox.Others.
	Users(r kv.Reader, after staging.User, n int) ([]staging.Used, error)
}

// New returns the machine of a partition. All its state is in the keys it is given.
func New(c Config) *Partition {
	return &Partition{feed: newFeed(c.Touched), cache: cache{entries: cacheEntries}, more: c.More}
}

// Execute applies c to b and returns the encoded indexpb.Result, or what Config.More gives. A payload that does not decode is
// answered with CODE_INVALID and changes nothing. An error means that the state cannot be trusted, or
// that a newer version wrote the command.
func (p *Partition) Execute(b kv.Batch, c command.Command) ([]byte, error) {
	p.cache.Batch = b
	defer func() { p.cache.Batch = nil }()
	x := mailbox.Begin(&p.cache, c.Time)
	for _, e := range p.more {
		if h, ok := e.(Holder); ok {
			x.Also(h.Users)
		}
	}
	result, err := p.dispatch(x, c)
	if err == nil {
		err = x.Finish()
	}
	if err != nil {
		return nil, fmt.Errorf("execute %v %v at index %d: %w", c.Kind, c.ID, c.Index, err)
	}
	x.Touched(p.feed.touch)
	return result, nil
}

// dispatch executes c and returns its encoded result.
func (p *Partition) dispatch(x *mailbox.Execution, c command.Command) ([]byte, error) {
	res, err := dispatch(x, c)
	for _, e := range p.more {
		if !errors.Is(err, ErrKind) {
			break
		}
		var encoded []byte
		if encoded, err = e.Execute(x, &p.cache, c); err == nil {
			return encoded, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return res.MarshalVT()
}

func dispatch(x *mailbox.Execution, c command.Command) (*indexpb.Result, error) {
	switch c.Kind {
	case command.Deliver:
		return run(c, new(indexpb.DeliverCommand), x.Deliver)
	case command.Append:
		return run(c, new(indexpb.AppendCommand), x.Append)
	case command.CreateMailbox:
		return run(c, new(indexpb.CreateMailboxCommand), x.Create)
	case command.DeleteMailbox:
		return run(c, new(indexpb.DeleteMailboxCommand), x.Delete)
	case command.RenameMailbox:
		return run(c, new(indexpb.RenameMailboxCommand), x.Rename)
	case command.Subscribe:
		return run(c, new(indexpb.SubscribeCommand), x.Subscribe)
	case command.StoreFlags:
		return run(c, new(indexpb.StoreFlagsCommand), x.Store)
	case command.Copy:
		return run(c, new(indexpb.CopyCommand), x.Copy)
	case command.Move:
		return run(c, new(indexpb.CopyCommand), x.Move)
	case command.Expunge:
		return run(c, new(indexpb.ExpungeCommand), x.Expunge)
	case command.DropAccount:
		return run(c, new(indexpb.DropAccountCommand), x.DropAccount)
	case command.DrainGraveyard:
		return run(c, new(indexpb.DrainGraveyardCommand), x.DrainGraveyard)
	case command.Replace:
		return run(c, new(indexpb.ReplaceCommand), x.Replace)
	case command.KeepExpunged:
		return run(c, new(indexpb.KeepExpungedCommand), x.KeepExpunged)
	case command.KeepDeleted:
		return run(c, new(indexpb.KeepDeletedCommand), x.KeepDeleted)
	case command.DrainKept:
		return run(c, new(indexpb.DrainGraveyardCommand), x.DrainKept)
	case command.Undelete:
		return run(c, new(indexpb.CopyCommand), x.Undelete)
	case command.SetACL:
		return run(c, new(indexpb.SetACLCommand), x.SetACL)
	case command.SetMetadata:
		return run(c, new(indexpb.SetMetadataCommand), x.SetMetadata)
	case command.SetURLKey:
		return run(c, new(indexpb.SetURLKeyCommand), x.SetURLKey)
	case command.StageChunk:
		return run(c, new(indexpb.StageChunkCommand), x.Bodies().Stage)
	case command.DropUploads:
		return run(c, new(indexpb.DropUploadsCommand), x.Bodies().DropUploads)
	case command.ListUsers:
		return run(c, new(indexpb.ListUsersCommand), x.ListUsers)
	}
	return dispatchPacks(x.Bodies(), c)
}

// dispatchPacks executes the commands of bodies in object storage.
func dispatchPacks(l *staging.Ledger, c command.Command) (*indexpb.Result, error) {
	switch c.Kind {
	case command.SetBlobMode:
		return run(c, new(indexpb.SetBlobModeCommand), l.SetMode)
	case command.BeginPack:
		return run(c, new(indexpb.BeginPackCommand), l.BeginPack)
	case command.PackBodies:
		return run(c, new(indexpb.PackBodiesCommand), l.PackBodies)
	case command.AbandonPack:
		return run(c, new(indexpb.AbandonPackCommand), l.AbandonPack)
	case command.ForgetPacks:
		return run(c, new(indexpb.ForgetPacksCommand), l.ForgetPacks)
	case command.UnpackBody:
		return run(c, new(indexpb.UnpackBodyCommand), l.UnpackBody)
	}
	return nil, ErrKind
}

// run decodes the payload, which the message then refers to, and executes it.
func run[M interface{ UnmarshalVTUnsafe([]byte) error }](c command.Command, m M, execute func(M) (*indexpb.Result, error)) (*indexpb.Result, error) {
	if err := m.UnmarshalVTUnsafe(c.Payload); err != nil {
		return mailbox.Invalid(err), nil
	}
	return execute(m)
}

// Committed wakes those who watch accounts that the commands since the last call changed.
func (p *Partition) Committed(cluster.LogIndex) {
	p.feed.wake()
	for _, e := range p.more {
		e.Committed()
	}
}

// Restored forgets what was remembered of the keys, and wakes every watcher: any account may have
// changed.
func (p *Partition) Restored(kv.Reader) error {
	p.cache.forget()
	p.feed.wakeAll()
	for _, e := range p.more {
		e.Restored()
		e.Committed()
	}
	return nil
}
