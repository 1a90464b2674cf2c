// Package training is what is learnt of unwanted mail as a state machine: in a partition, a model for each of
// its accounts and one for all of them together, both changed in the step of one command. It is an extension of
// index/partition. It has no clock, no randomness and no I/O but the batch that it is given, and knows nothing of
// messages: tokens come as numbers (mta/bayes).
//
// What is learnt of a message is remembered, so that it can be taken back to the last token, or learnt the other way. Models
// are bounded: for a new token of a full one, the least useful of some neighbours goes. What the common model
// learns from one account in a day is bounded too, so that nobody can turn it against the others.
package training

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

// The bounds of models. Replicas must agree on them: one changes only with a new command kind.
const (
	MaxAccountTokens   = 20_000
	MaxPartitionTokens = 50_000
	MaxRemembered      = 500 // trainings of an account that can be taken back
)

// ErrCorrupt says that the keys break an invariant of KEYS.md. A group that finds it stops.
var ErrCorrupt = errors.New("what is learnt of unwanted mail is corrupt")

// limits are the bounds above; tests have smaller ones.
type limits struct{ account, partition, remembered uint32 }

// Machine executes the commands. All its state is in the keys it is given.
type Machine struct{ limits limits }

// New returns the machine of a partition.
func New() *Machine {
	return &Machine{limits{account: MaxAccountTokens, partition: MaxPartitionTokens, remembered: MaxRemembered}}
}

// Committed implements partition.Extension: nobody is told, models are read anew where their version is another.
func (*Machine) Committed() {}

// Restored implements partition.Extension: nothing is remembered of the keys.
func (*Machine) Restored() {}

// Execute applies a command to b and returns the encoded bayespb.TrainResult, or command.ErrKind. A payload that
// is no valid command is told in the result and changes nothing.
func (m *Machine) Execute(_ *mailbox.Execution, b kv.Batch, c command.Command) ([]byte, error) {
	if c.Kind != command.Train {
		return nil, command.ErrKind
	}
	cmd := new(bayespb.TrainCommand)
	res := new(bayespb.TrainResult)
	err := cmd.UnmarshalVT(c.Payload)
	if err == nil {
		err = check(cmd)
	}
	if err != nil {
		res.Refused = err.Error()
		return res.MarshalVT()
	}
	x := execution{b: b, limits: m.limits, now: c.Time.UnixMilli(), version: uint64(c.Index)}
	if err := x.run(cmd, res); err != nil {
		return nil, err
	}
	return res.MarshalVT()
}

// check says what is wrong with a command.
func check(c *bayespb.TrainCommand) error {
	if c.Action == bayespb.Action_ACTION_FORGET {
		return nil
	}
	if c.Account == 0 || len(c.Key) != bayes.KeySize {
		return fmt.Errorf("account %d, a key of %d octets", c.Account, len(c.Key))
	}
	switch c.Action {
	case bayespb.Action_ACTION_RETRACT:
		return nil
	case bayespb.Action_ACTION_LEARN:
		if c.Class != bayespb.Class_CLASS_SPAM && c.Class != bayespb.Class_CLASS_HAM {
			return fmt.Errorf("class %d", c.Class)
		}
		return checkTokens(c.Tokens)
	}
	return fmt.Errorf("action %d", c.Action)
}

func checkTokens(packed []byte) error {
	n := len(packed) / tokenSize
	if n == 0 || n > bayes.MaxTokens || len(packed)%tokenSize != 0 {
		return fmt.Errorf("tokens of %d octets", len(packed))
	}
	ids := unpack(packed)
	for i := range ids[1:] {
		if ids[i] >= ids[i+1] {
			return errors.New("tokens that do not ascend")
		}
	}
	return nil
}

// tokenSize is the length of a token's number in octets.
const tokenSize = 8

// Pack encodes the numbers of tokens, which ascend, for a TrainCommand.
func Pack(ids []uint64) []byte {
	out := make([]byte, 0, tokenSize*len(ids))
	for _, id := range ids {
		out = binary.BigEndian.AppendUint64(out, id)
	}
	return out
}

func unpack(packed []byte) []uint64 {
	out := make([]uint64, 0, len(packed)/tokenSize)
	for ; len(packed) >= tokenSize; packed = packed[tokenSize:] {
		out = append(out, binary.BigEndian.Uint64(packed))
	}
	return out
}
