package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
)

// Code is how the kind of an error travels. Numbers are for ever.
type Code uint8

// The codes.
const (
	codeOK          Code = 0
	codeNotLeader   Code = 1
	codeUnavailable Code = 2
	codeNoReplica   Code = 3
	codeStorageFull Code = 4
	codeTooLarge    Code = 5
	codeStopped     Code = 6
	codeUnknown     Code = 7 // no such method or service at the node
	codeOther       Code = 255
)

// ErrUnknownMethod says that the node called does not have the method or service: it runs another
// version, or does not serve this to joining nodes.
var ErrUnknownMethod = errors.New("the node does not know the method")

// Error is an error that another node answered with. errors.Is finds the sentinel of package
// cluster (or ErrUnknownMethod) behind it.
type Error struct {
	Node cluster.NodeID
	Code Code
	Text string // what the node says, its own wrapping included
}

// Error gives the node's text with its name.
func (e *Error) Error() string { return fmt.Sprintf("node %s: %s", e.Node, e.Text) }

// Unwrap gives the sentinel of the code, or nil.
func (e *Error) Unwrap() error { return sentinel(e.Code) }

func sentinel(code Code) error {
	switch code {
	case codeNotLeader:
		return cluster.ErrNotLeader
	case codeUnavailable:
		return cluster.ErrUnavailable
	case codeNoReplica:
		return cluster.ErrNoReplica
	case codeStorageFull:
		return cluster.ErrStorageFull
	case codeTooLarge:
		return cluster.ErrTooLarge
	case codeStopped:
		return cluster.ErrStopped
	case codeUnknown:
		return ErrUnknownMethod
	}
	return nil
}

// codeOf finds the code that err travels as. An end of the caller's time at the far node is what
// the caller calls unavailable.
func codeOf(err error) Code {
	for code := codeNotLeader; code <= codeUnknown; code++ {
		if errors.Is(err, sentinel(code)) {
			return code
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return codeUnavailable
	}
	return codeOther
}
