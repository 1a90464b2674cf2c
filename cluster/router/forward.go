package router

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
)

// The methods of the router.
const (
	methodPropose   = "router.propose"
	methodReadIndex = "router.readindex"
)

// Requests and answers, big endian. Numbers are for ever.
//
//	request:  group (2), flags (1: pass it on to the leader), for a proposal the encoded command
//	answer:   0 (1), index (8), result of the command
//	          1 (1), node id of the leader as known here, or nothing
const (
	forwardHeader   = 3
	flagPass        = 1
	answerDone      = 0
	answerNotLeader = 1
)

// errMessage says that another node's message does not parse.
var errMessage = errors.New("malformed message of the router")

func appendForward(dst []byte, g cluster.GroupID, flags byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(g)), flags)
}

func parseForward(request []byte) (g cluster.GroupID, flags byte, data []byte, err error) {
	if len(request) < forwardHeader {
		return 0, 0, nil, fmt.Errorf("request of %d bytes: %w", len(request), errMessage)
	}
	return cluster.GroupID(binary.BigEndian.Uint16(request)), request[2], request[forwardHeader:], nil
}

func appendDone(index cluster.LogIndex, result []byte) []byte {
	answer := make([]byte, 1, 9+len(result))
	answer[0] = answerDone
	return append(binary.BigEndian.AppendUint64(answer, uint64(index)), result...)
}

func parseAnswer(answer []byte) (result []byte, index cluster.LogIndex, err error) {
	switch {
	case len(answer) >= 9 && answer[0] == answerDone:
		return answer[9:], cluster.LogIndex(binary.BigEndian.Uint64(answer[1:])), nil
	case len(answer) >= 1 && answer[0] == answerNotLeader:
		return nil, 0, &notLeader{hint: cluster.NodeID(answer[1:])}
	}
	return nil, 0, fmt.Errorf("answer of %d bytes: %w", len(answer), errMessage)
}

// Serve registers what other nodes' routers call at this one.
func (r *Router) Serve(registry Registry) {
	registry.Register(methodPropose, func(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
		return r.serve(ctx, methodPropose, request)
	})
	registry.Register(methodReadIndex, func(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
		return r.serve(ctx, methodReadIndex, request)
	})
}

func (r *Router) serve(ctx context.Context, method string, request []byte) ([]byte, error) {
	g, flags, data, err := parseForward(request)
	if err != nil {
		return nil, err
	}
	local, ok := r.cfg.Local(g)
	if !ok {
		return nil, fmt.Errorf("serve %s for %v: %w", method, g, cluster.ErrNoReplica)
	}
	var result []byte
	var index cluster.LogIndex
	if method == methodPropose {
		result, index, err = local.Propose(ctx, data)
	} else {
		index, err = local.ReadIndex(ctx)
	}
	if err == nil {
		return appendDone(index, result), nil
	}
	if !errors.Is(err, cluster.ErrNotLeader) {
		return nil, err
	}
	leader, known := local.Leader()
	if known && leader != r.cfg.Self && flags&flagPass != 0 {
		// Once only: the copy goes without the flag.
		onward := appendForward(make([]byte, 0, len(request)), g, flags&^flagPass)
		return r.cfg.Caller.Call(ctx, leader, method, append(onward, data...))
	}
	if !known || leader == r.cfg.Self {
		leader = ""
	}
	return append([]byte{answerNotLeader}, leader...), nil
}

// proposeAt makes one attempt with a proposal that was built behind a forward header.
func (r *Router) proposeAt(ctx context.Context, g cluster.GroupID, to target, forward []byte) ([]byte, cluster.LogIndex, error) {
	if to.node == r.cfg.Self {
		local, ok := r.cfg.Local(g)
		if !ok {
			return nil, 0, cluster.ErrNoReplica
		}
		result, index, err := local.Propose(ctx, forward[forwardHeader:])
		return result, index, r.withHint(local, err)
	}
	return r.callAt(ctx, g, to, methodPropose, forward)
}

func (r *Router) readIndexAt(ctx context.Context, g cluster.GroupID, to target) (cluster.LogIndex, error) {
	if to.node == r.cfg.Self {
		local, ok := r.cfg.Local(g)
		if !ok {
			return 0, cluster.ErrNoReplica
		}
		index, err := local.ReadIndex(ctx)
		return index, r.withHint(local, err)
	}
	_, index, err := r.callAt(ctx, g, to, methodReadIndex, appendForward(nil, g, 0))
	return index, err
}

// callAt forwards a request. A guess gets a copy with the flag that lets the node pass it on.
func (r *Router) callAt(ctx context.Context, g cluster.GroupID, to target, method string, request []byte) ([]byte, cluster.LogIndex, error) {
	if to.guess {
		request = append(appendForward(make([]byte, 0, len(request)), g, flagPass), request[forwardHeader:]...)
	}
	answer, err := r.cfg.Caller.Call(ctx, to.node, method, request)
	if err != nil {
		return nil, 0, err
	}
	result, index, err := parseAnswer(answer)
	if err == nil && !to.guess {
		r.remember(g, to.node)
	}
	return result, index, err
}

// withHint adds to ErrNotLeader of a local replica whom it thinks the leader.
func (r *Router) withHint(local Group, err error) error {
	if !errors.Is(err, cluster.ErrNotLeader) {
		return err
	}
	leader, _ := local.Leader()
	if leader == r.cfg.Self {
		leader = ""
	}
	return &notLeader{hint: leader}
}
