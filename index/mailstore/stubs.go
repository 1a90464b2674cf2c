package mailstore

import (
	"context"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

type Account struct {
	store *Store
	id    index.AccountID
}

func (a *Account) ID() index.AccountID                                    { return a.id }
func (a *Account) Mailboxes(ctx context.Context) ([]index.Mailbox, error) { panic("stub") }
func (a *Account) Mailbox(ctx context.Context, name string) (index.Mailbox, error) {
	panic("stub")
}
func (a *Account) Usage(ctx context.Context) (index.Usage, error) { panic("stub") }
func (a *Account) Create(ctx context.Context, name string, use index.SpecialUse) (index.Mailbox, error) {
	panic("stub")
}
func (a *Account) Delete(ctx context.Context, name string) error             { panic("stub") }
func (a *Account) Rename(ctx context.Context, from, to string) error         { panic("stub") }
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error { panic("stub") }
func (a *Account) Open(ctx context.Context, name string) (*Mailbox, error)   { panic("stub") }
func (a *Account) Watch() (changed <-chan struct{}, stop func())             { panic("stub") }

type Mailbox struct{}

func (m *Mailbox) ID() index.MailboxID                    { panic("stub") }
func (m *Mailbox) Info() index.Mailbox                    { panic("stub") }
func (m *Mailbox) View(ctx context.Context) (View, error) { panic("stub") }
func (m *Mailbox) Changes(ctx context.Context, since index.ModSeq) (Changes, error) {
	panic("stub")
}
func (m *Mailbox) Vanished(ctx context.Context, since index.ModSeq) (gone *uidset.Set, complete bool, err error) {
	panic("stub")
}
func (m *Mailbox) Flags(ctx context.Context, uids *uidset.Set, fn func(index.UID, index.FlagState) error) error {
	panic("stub")
}
func (m *Mailbox) Messages(ctx context.Context, uids *uidset.Set, fn func(Message) error) error {
	panic("stub")
}
func (m *Mailbox) OpenBody(ctx context.Context, uid index.UID) (Body, error) { panic("stub") }
func (m *Mailbox) Store(ctx context.Context, req StoreRequest) (StoreResult, error) {
	panic("stub")
}
func (m *Mailbox) Copy(ctx context.Context, uids *uidset.Set, to string) (CopyResult, error) {
	panic("stub")
}
func (m *Mailbox) Move(ctx context.Context, uids *uidset.Set, to string) (CopyResult, error) {
	panic("stub")
}
func (m *Mailbox) Expunge(ctx context.Context, uids *uidset.Set) (*uidset.Set, error) {
	panic("stub")
}

type Incoming struct{}

func (s *Store) NewIncoming(ctx context.Context, accounts []index.AccountID, trace []byte) *Incoming {
	panic("stub")
}
func (in *Incoming) Write(p []byte) (int, error) { panic("stub") }
func (in *Incoming) Size() int64                 { panic("stub") }
func (in *Incoming) Deliver(ctx context.Context, d Delivery) ([]Outcome, error) {
	panic("stub")
}
func (in *Incoming) Append(ctx context.Context, mailbox string, o AppendOptions) (index.UID, uint32, error) {
	panic("stub")
}
func (in *Incoming) Discard() { panic("stub") }
