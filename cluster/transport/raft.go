package transport

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// raftTimeout bounds one exchange of Raft messages with a peer. It is above what a batch of entries
// needs on a busy disk, and below what an operator calls hung; a snapshot gets it for each 256 KiB.
const raftTimeout = 5 * time.Second

// Raft opens the network side of a group's replica: hashicorp/raft's own transport over StreamLayer, and
// the links for heartbeats and for entries that all groups share.
// Closing it (the group does) closes the layer.
func (t *Transport) Raft(group cluster.GroupID) (RaftTransport, error) {
	layer, err := t.StreamLayer(group)
	if err != nil {
		return RaftTransport{}, err
	}
	network := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider:   t.Addresses(),
		Logger:                  raftLogger(t.cfg.Logger.With("group", group.String())),
		Stream:                  layer,
		MaxPool:                 2, // per peer, beside the pipeline: heartbeats and votes
		Timeout:                 raftTimeout,
		MsgpackUseNewTimeFormat: true,
	})
	return RaftTransport{
		NetworkTransport: network,
		beats:            t.beats.Open(group),
		exchange:         t.entries,
		entries:          t.entries.Open(group, network.Consumer()),
		resolve:          t.cfg.Resolve,
	}, nil
}

// raftLogger is the hclog logger that hashicorp/raft wants, in front of slog.
func raftLogger(to *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Level: hclog.Debug, Output: io.Discard})
	logger.RegisterSink(sink{to})
	return logger
}

type sink struct{ to *slog.Logger }

var _ hclog.SinkAdapter = sink{}

// Accept passes one record on. What the network layer of raft calls errors are peers that went
// away: the transport keeps trying, an operator has nothing to do, so they are warnings.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Info:
		to = slog.LevelInfo
	case hclog.Warn, hclog.Error:
		to = slog.LevelWarn
	}
	for i := range args {
		if format, ok := args[i].(hclog.Format); ok && len(format) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(format[0]), format[1:]...)
		}
	}
	s.to.Log(context.Background(), to, msg, args...)
}
