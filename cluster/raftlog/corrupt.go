package raftlog

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
)

// CorruptError says that what this node holds of a group's log is not whole: a hole, a lost tail,
// unreadable bytes. A replica is never started from that, since it might vote or answer as if it
// held what it lost. Its text tells the operator what to do.
type CorruptError struct {
	Group cluster.GroupID
	All   bool   // every group of this node, Group has no meaning
	What  string // what was found
	Err   error  // the cause, if there is one
}

// Error implements error.
func (e *CorruptError) Error() string {
	name, flag := e.Group.String(), fmt.Sprint(uint16(e.Group))
	if e.All {
		name, flag = "all groups", "all"
	}
	what := e.What
	if e.Err != nil {
		what += ": " + e.Err.Error()
	}
	return fmt.Sprintf("log of %s is damaged: %s. Stop this node and run \"rookery node rebuild --group %s\": "+
		"it drops this node's replica and fetches it again from the other nodes, which hold everything that was acknowledged",
		name, what, flag)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }
