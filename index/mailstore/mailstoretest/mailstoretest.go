// Package mailstoretest makes a mailstore.Store for tests of servers: real state machines over an
// in-memory Pebble, with commands applied at once instead of through Raft. It is not for production.
package mailstoretest

import (
	"testing"

	"github.com/rookery-mail/rookery/index/mailstore"
)

// Option changes how New builds the store.
type Option func(*mailstore.Config)

// New returns an empty store. Accounts are any ids; account a is in partition 1 + a mod 2.
func New(t testing.TB, options ...Option) *mailstore.Store {
	t.Helper()
	panic("stub")
}
