package clustertest

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/exactlyonce"
	"github.com/rookery-mail/rookery/cluster/kv"
)

// ledgerKey begins the keys of the ledger: 0x10 | payload -> executions (8 bytes, big endian).
const ledgerKey byte = 0x10

// Ledger is a state machine for tests of the cluster itself: it counts how often each payload was
// executed, so that what was lost and what was doubled can be read back.
func Ledger(cluster.NodeID, cluster.GroupID) cluster.StateMachine { return exactlyonce.New(ledger{}) }

type ledger struct{}

var _ exactlyonce.Machine = ledger{}

// Execute counts the command's payload and answers with the count.
func (ledger) Execute(b kv.Batch, c command.Command) ([]byte, error) {
	key := append([]byte{ledgerKey}, c.Payload...)
	value, ok, err := b.Get(key)
	if err != nil {
		return nil, err
	}
	count := uint64(1)
	if ok {
		count += binary.BigEndian.Uint64(value)
	}
	value = binary.BigEndian.AppendUint64(nil, count)
	return value, b.Set(key, value)
}

// Committed implements exactlyonce.Machine.
func (ledger) Committed(cluster.LogIndex) {}

// Restored implements exactlyonce.Machine.
func (ledger) Restored(kv.Reader) error { return nil }

// ReadLedger returns the executions of each payload in a replica with Ledger.
func ReadLedger(r kv.Reader) (map[string]uint64, error) {
	it, err := r.Scan([]byte{ledgerKey}, []byte{ledgerKey + 1})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	out := map[string]uint64{}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		if len(value) != 8 {
			return nil, fmt.Errorf("count of %q has %d bytes", it.Key()[1:], len(value))
		}
		out[string(it.Key()[1:])] = binary.BigEndian.Uint64(value)
	}
	return out, it.Error()
}
