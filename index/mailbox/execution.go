// Package mailbox is the mailbox state machine: what each command does to the keys of a partition,
// and how mailboxes are read from them. It decides everything about accounts, mailboxes, flags,
// UIDs, modification sequences and quota (RFC 9051, RFC 7162, RFC 6851, RFC 4315); bodies are
// index/staging's. It has no clock, no randomness and no I/O but the batch it is given.
//
// A command either takes effect as a whole or, with a code other than CODE_OK or CODE_DUPLICATE,
// changes nothing but that the account may have been made. Deliver decides for each target on its
// own. An error in Go's sense means that the state cannot be trusted, and the group stops.
package mailbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// The limits of the machine. Replicas must agree on them: one changes only with a new command kind.
const (
	MaxMessages  = 1000   // messages that one command changes
	MaxTargets   = 1000   // targets of a Deliver
	MaxMailboxes = 10_000 // mailboxes of an account
	MaxKeywords  = index.MaxKeywords
	MaxKeyword   = index.MaxKeyword
)

// ErrCorrupt says that the keys break an invariant of KEYS.md. A group that finds it stops.
var ErrCorrupt = errors.New("state of mailboxes is corrupt")

// Execution is the execution of one command. Records it touches are held in memory and written by
// Finish, once each.
type Execution struct {
	b        kv.Batch
	now      int64 // the command's time in Unix milliseconds
	accounts []*accountState
	dropped  []index.AccountID
	bodies   staging.Ledger
	others   Others

	key, value []byte // buffers
}

// Begin starts the execution of a command that carries the time now.
func Begin(b kv.Batch, now time.Time) *Execution {
	return &Execution{b: b, now: now.UnixMilli(), bodies: staging.NewLedger(b, now.UnixMilli())}
}

// Others lists up to n users of bodies that are no messages, behind after, in order.
type Others func(r kv.Reader, after staging.User, n int) ([]staging.Used, error)

// Also has ListUsers list others behind the messages.
func (x *Execution) Also(others Others) { x.others = others }

// Bodies is where the command keeps bodies. Finish writes what it changed there too.
func (x *Execution) Bodies() *staging.Ledger { return &x.bodies }

// Finish writes the records that the command changed. Nothing of the Execution is used afterwards
// but Touched.
func (x *Execution) Finish() error {
	for _, a := range x.accounts {
		for _, m := range a.mailboxes {
			if err := x.finishMailbox(m); err != nil {
				return fmt.Errorf("write mailbox %d of account %d: %w", m.id, a.id, err)
			}
		}
		if !a.dirty {
			continue
		}
		if err := x.put(keys.Account(x.key[:0], a.id), &a.rec); err != nil {
			return fmt.Errorf("write account %d: %w", a.id, err)
		}
	}
	return x.bodies.Finish()
}

// Touched calls fn for each account that the command changed.
func (x *Execution) Touched(fn func(index.AccountID)) {
	for _, a := range x.accounts {
		if a.dirty {
			fn(a.id)
		}
	}
	for _, id := range x.dropped {
		fn(id)
	}
}

// record is a stored protobuf message.
type record interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

// encode returns the stored form of rec, valid until the next call.
func (x *Execution) encode(rec record) ([]byte, error) {
	n := rec.SizeVT()
	if cap(x.value) < n {
		x.value = make([]byte, n, n+n/2)
	}
	x.value = x.value[:n]
	if _, err := rec.MarshalToSizedBufferVT(x.value); err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return x.value, nil
}

// put stores rec under key, which may be in x.key.
func (x *Execution) put(key []byte, rec record) error {
	x.key = key
	value, err := x.encode(rec)
	if err != nil {
		return err
	}
	return x.b.Set(key, value)
}

// get reads the value under key, which may be in x.key.
func (x *Execution) get(key []byte) ([]byte, bool, error) {
	x.key = key
	return x.b.Get(key)
}

func (x *Execution) set(key, value []byte) error {
	x.key = key
	return x.b.Set(key, value)
}

func (x *Execution) delete(key []byte) error {
	x.key = key
	return x.b.Delete(key)
}

// refuse makes the result of a command that is not executed.
func refuse(code indexpb.Code, format string, args ...any) *indexpb.Result {
	return &indexpb.Result{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Invalid is the result of a command whose payload does not decode.
func Invalid(err error) *indexpb.Result { return refuse(indexpb.Code_CODE_INVALID, "%v", err) }
