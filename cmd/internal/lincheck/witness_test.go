package lincheck

import (
	"context"
	"sync"

	"github.com/anishathalye/porcupine"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/exactlyonce"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/partition"
)

// witness knows which commands were executed and changed something. That decides nothing about what
// was answered. It tells of operations without an answer whether they are to be placed in the order at
// all: those that are not would double the search, each of them.
type witness struct {
	mu      sync.Mutex
	changed map[cluster.CommandID]bool // guarded by mu
}

// machine is a partition that is watched.
func (w *witness) machine(cluster.NodeID, cluster.GroupID) cluster.StateMachine {
	return exactlyonce.New(watched{partition.New(partition.Config{}), w})
}

type watched struct {
	*partition.Partition
	witness *witness
}

// Execute implements exactlyonce.Machine.
func (m watched) Execute(b kv.Batch, c command.Command) ([]byte, error) {
	encoded, err := m.Partition.Execute(b, c)
	if err != nil {
		return nil, err
	}
	res := new(indexpb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		return nil, err
	}
	m.witness.mu.Lock()
	defer m.witness.mu.Unlock()
	m.witness.changed[c.ID] = changedSomething(c.Kind, res)
	return encoded, nil
}

func changedSomething(k command.Kind, res *indexpb.Result) bool {
	switch k {
	case command.Deliver:
		return res.Targets[0].Code == indexpb.Code_CODE_OK
	case command.Move:
		return len(res.From) > 0
	case command.StoreFlags, command.Expunge:
		return len(res.Changed) > 0
	}
	return res.Code == indexpb.Code_CODE_OK
}

// commands are the identities that an operation proposed under.
type commands struct{ ids []cluster.CommandID }

type commandsKey struct{}

// noted notes the commands of the operation that ctx belongs to.
type noted struct{ mailstore.Proposer }

// Propose implements mailstore.Proposer.
func (p noted) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	if of, ok := ctx.Value(commandsKey{}).(*commands); ok {
		of.ids = append(of.ids, c.ID)
	}
	return p.Proposer.Propose(ctx, g, c)
}

// settle drops the operations without an answer that changed nothing, and marks the others. Nothing
// is proposed any more.
func (w *witness) settle(history []porcupine.Operation) (out []porcupine.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, op := range history {
		if o := op.Output.(output); o.unknown {
			for _, id := range op.Metadata.(*commands).ids {
				o.took = o.took || w.changed[id]
			}
			if !o.took {
				continue
			}
			op.Output = o
		}
		out = append(out, op)
	}
	return out
}
