package login

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rookery-mail/rookery/cluster/guard"
)

// Guard knows the networks that logins come from: whom to trust, whom to refuse, and how long a guesser waits.
// Methods are called from many goroutines and do not wait themselves.
type Guard interface {
	// Trusts reports whether an address is one of the cluster's own networks, which many clients may share: it
	// is not slowed down for the failures of the others.
	Trusts(remote netip.Addr) bool
	// Banned reports whether logins from an address are refused as ErrThrottled, whatever the secret.
	Banned(remote netip.Addr) bool
	// Failed notes a wrong secret, and returns how long its answer is to wait. The same wrong secret once
	// more, which tells a guesser nothing, is not noted where it is known.
	Failed(remote netip.Addr, user guard.User) time.Duration
	// Succeeded notes a login.
	Succeeded(remote netip.Addr, user guard.User)
}

// open is the Guard that trusts and refuses nobody.
type open struct{}

var _ Guard = open{}

// Trusts implements Guard.
func (open) Trusts(netip.Addr) bool { return false }

// Banned implements Guard.
func (open) Banned(netip.Addr) bool { return false }

// Failed implements Guard.
func (open) Failed(netip.Addr, guard.User) time.Duration { return 0 }

// Succeeded implements Guard.
func (open) Succeeded(netip.Addr, guard.User) {}

// failed tells the guard of a wrong secret, and waits as it says, until done is closed at the most.
func (a *Authenticator) failed(done <-chan struct{}, s subject, remote netip.Addr) {
	wait := a.config.Guard.Failed(remote, a.user(s))
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
	}
}

// user stands for whom a user name means. Unlike the subject's key it outlives a change of the password, and
// is the same by every mechanism.
func (a *Authenticator) user(s subject) guard.User {
	name := s.key
	if s.known {
		name = binary.BigEndian.AppendUint64([]byte{'a'}, uint64(s.account.ID))
	}
	f := hash(a.config.GuardKey, 'u', name, nil)
	return guard.User(binary.BigEndian.Uint64(f[:]))
}
