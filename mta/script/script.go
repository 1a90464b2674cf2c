// Package script is the state machine of the Sieve scripts that accounts keep, as an extension of index/partition: which there are and
// which of them is run for what comes in. It knows nothing of the language: who puts a script has had it checked (mta/sieve). It has no
// clock, no randomness and no I/O but the batch it is given.
//
// One script of an account at most is active (RFC 5804, section 1.4). A script that is active can be replaced and renamed, and not deleted.
package script

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/script/scriptpb"
)

// The limits of the machine. Replicas must agree on them: one changes only with a new command kind.
const (
	MaxScripts = 100       // of an account
	MaxText    = 256 << 10 // octets of a script
	maxOctets  = 4 << 20   // of all scripts of an account
)

// What a command may be refused with.
var (
	ErrNoScript = errors.New("there is no such script")
	ErrExists   = errors.New("there is a script of that name")
	ErrActive   = errors.New("the script is active")
	ErrTooMany  = errors.New("too many scripts")
	ErrTooLarge = errors.New("the scripts are too large")
	ErrName     = errors.New("not the name of a script")
	ErrInvalid  = errors.New("not a change of scripts")
)

// ErrCorrupt says that the keys break an invariant of KEYS.md. A group that finds it stops.
var ErrCorrupt = errors.New("state of scripts is corrupt")

// Machine executes command.EditScripts. All its state is in keys. It is for the goroutine that applies the log; Version is for any.
type Machine struct {
	touched bool
	version atomic.Uint64
}

// New returns the machine of a partition.
func New() *Machine { return new(Machine) }

// Version is another once scripts were changed: what was read after a call holds while it is the same.
func (m *Machine) Version() uint64 { return m.version.Load() }

// Committed has what was changed show in Version.
func (m *Machine) Committed() {
	if m.touched {
		m.touched = false
		m.version.Add(1)
	}
}

// Restored has Committed tell of other keys.
func (m *Machine) Restored() { m.touched = true }

// Execute applies a command to b and returns the encoded scriptpb.Result; of another kind than EditScripts it is command.ErrKind. A
// payload that does not decode is answered with CODE_INVALID and changes nothing.
func (m *Machine) Execute(_ *mailbox.Execution, b kv.Batch, c command.Command) ([]byte, error) {
	if c.Kind != command.EditScripts {
		return nil, command.ErrKind
	}
	m.touched = true
	cmd := new(scriptpb.EditScriptsCommand)
	err := cmd.UnmarshalVT(c.Payload)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	} else {
		err = edit(b, cmd, c.Time.UnixMilli())
	}
	res := new(scriptpb.Result)
	if err != nil {
		if res.Code = codeOf(err); res.Code == scriptpb.Code_CODE_OK {
			return nil, err
		}
		res.Text = err.Error()
	}
	return res.MarshalVT()
}

// codes pairs what a command is refused with and how that travels.
func codes() map[scriptpb.Code]error {
	return map[scriptpb.Code]error{
		scriptpb.Code_CODE_NO_SCRIPT: ErrNoScript, scriptpb.Code_CODE_EXISTS: ErrExists, scriptpb.Code_CODE_ACTIVE: ErrActive,
		scriptpb.Code_CODE_TOO_MANY: ErrTooMany, scriptpb.Code_CODE_TOO_LARGE: ErrTooLarge, scriptpb.Code_CODE_INVALID: ErrInvalid,
	}
}

// codeOf is CODE_OK for what is no refusal.
func codeOf(err error) scriptpb.Code {
	if errors.Is(err, ErrName) {
		return scriptpb.Code_CODE_INVALID
	}
	for code, is := range codes() {
		if errors.Is(err, is) {
			return code
		}
	}
	return scriptpb.Code_CODE_OK
}

// Refusal is what an encoded result says: nil, or one of this package's errors.
func Refusal(result []byte) error {
	res := new(scriptpb.Result)
	if err := res.UnmarshalVT(result); err != nil {
		return fmt.Errorf("decode the result of a change of scripts: %w", err)
	}
	if res.Code == scriptpb.Code_CODE_OK {
		return nil
	}
	err, known := codes()[res.Code]
	if !known {
		err = ErrInvalid
	}
	return err
}

// edit does what a command says, or nothing.
func edit(b kv.Batch, cmd *scriptpb.EditScriptsCommand, now int64) error {
	if cmd.Account == 0 {
		return fmt.Errorf("no account: %w", ErrInvalid)
	}
	e := &editor{b: b, account: index.AccountID(cmd.Account), now: now}
	if cmd.Edit == scriptpb.Edit_EDIT_FORGET {
		return e.forget()
	}
	if cmd.Edit != scriptpb.Edit_EDIT_ACTIVATE || cmd.Name != "" {
		if err := CheckName(cmd.Name); err != nil {
			return err
		}
	}
	if err := e.load(); err != nil {
		return err
	}
	switch cmd.Edit {
	case scriptpb.Edit_EDIT_PUT:
		return e.put(cmd)
	case scriptpb.Edit_EDIT_RENAME:
		return e.rename(cmd.Name, cmd.To)
	case scriptpb.Edit_EDIT_DELETE:
		return e.remove(cmd.Name)
	case scriptpb.Edit_EDIT_ACTIVATE:
		return e.activate(cmd.Name)
	}
	return fmt.Errorf("edit %d: %w", cmd.Edit, ErrInvalid)
}

// editor changes the scripts of one account.
type editor struct {
	b       kv.Batch
	account index.AccountID
	now     int64
	all     scriptpb.ScriptsRecord
}

func (e *editor) load() error {
	_, err := read(e.b, summaryKey(nil, e.account), &e.all)
	return err
}

// finish writes what there is now.
func (e *editor) finish() error {
	if e.all.Scripts == 0 {
		return e.b.Delete(summaryKey(nil, e.account))
	}
	e.all.Revision++
	value, err := e.all.MarshalVT()
	if err != nil {
		return err
	}
	return e.b.Set(summaryKey(nil, e.account), value)
}

// find returns a script, nil where it is not there.
func (e *editor) find(name string) (*scriptpb.ScriptRecord, error) {
	rec := new(scriptpb.ScriptRecord)
	ok, err := read(e.b, scriptKey(nil, e.account, name), rec)
	if err != nil || !ok {
		return nil, err
	}
	return rec, nil
}

func (e *editor) set(name string, rec *scriptpb.ScriptRecord) error {
	value, err := rec.MarshalVT()
	if err != nil {
		return err
	}
	return e.b.Set(scriptKey(nil, e.account, name), value)
}

func (e *editor) put(cmd *scriptpb.EditScriptsCommand) error {
	was, err := e.find(cmd.Name)
	if err != nil {
		return err
	}
	scripts, octets := e.all.Scripts, e.all.Octets+uint64(len(cmd.Text))
	if was == nil {
		scripts++
	} else {
		octets -= uint64(len(was.Text))
	}
	most, room := bounds(cmd)
	switch {
	case len(cmd.Text) > MaxText:
		return fmt.Errorf("a script of %d octets, %d are allowed: %w", len(cmd.Text), MaxText, ErrTooLarge)
	case scripts > most && was == nil:
		return fmt.Errorf("%d are allowed: %w", most, ErrTooMany)
	case octets > room && octets > e.all.Octets:
		return fmt.Errorf("%d octets are allowed: %w", room, ErrTooLarge)
	}
	e.all.Scripts, e.all.Octets = scripts, octets
	if cmd.Activate {
		e.all.Active = cmd.Name
	}
	if err := e.set(cmd.Name, &scriptpb.ScriptRecord{Text: cmd.Text, Changed: e.now}); err != nil {
		return err
	}
	return e.finish()
}

// bounds are those that a command is under.
func bounds(cmd *scriptpb.EditScriptsCommand) (scripts uint32, octets uint64) {
	scripts, octets = MaxScripts, maxOctets
	if n := cmd.MaxScripts; n != 0 {
		scripts = min(scripts, n)
	}
	if n := cmd.MaxOctets; n != 0 && n < math.MaxInt64 {
		octets = min(octets, n)
	}
	return scripts, octets
}

func (e *editor) rename(name, to string) error {
	if err := CheckName(to); err != nil {
		return err
	}
	rec, err := e.find(name)
	if err != nil {
		return err
	}
	if rec == nil {
		return ErrNoScript
	}
	other, err := e.find(to)
	if err != nil {
		return err
	}
	if other != nil {
		return ErrExists
	}
	if err := e.b.Delete(scriptKey(nil, e.account, name)); err != nil {
		return err
	}
	if err := e.set(to, rec); err != nil {
		return err
	}
	if e.all.Active == name {
		e.all.Active = to
	}
	return e.finish()
}

func (e *editor) remove(name string) error {
	rec, err := e.find(name)
	if err != nil {
		return err
	}
	switch {
	case rec == nil:
		return ErrNoScript
	case e.all.Active == name:
		return ErrActive
	case e.all.Scripts == 0 || e.all.Octets < uint64(len(rec.Text)):
		return fmt.Errorf("account %d has more scripts than it has: %w", e.account, ErrCorrupt)
	}
	e.all.Scripts--
	e.all.Octets -= uint64(len(rec.Text))
	if err := e.b.Delete(scriptKey(nil, e.account, name)); err != nil {
		return err
	}
	return e.finish()
}

func (e *editor) activate(name string) error {
	if name != "" {
		rec, err := e.find(name)
		if err != nil {
			return err
		}
		if rec == nil {
			return ErrNoScript
		}
	}
	if e.all.Active == name {
		return nil
	}
	e.all.Active = name
	return e.finish()
}

func (e *editor) forget() error {
	prefix := scriptKey(nil, e.account, "")
	if err := e.b.DeleteRange(prefix, keys.After(nil, prefix)); err != nil {
		return err
	}
	return e.b.Delete(summaryKey(nil, e.account))
}
