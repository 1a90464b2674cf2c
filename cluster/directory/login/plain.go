package login

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Plain checks a password that came as it is. username is an address, or a bare local part where the
// cluster has exactly one domain. Errors are ErrBadCredentials, ErrDisabled, ErrThrottled, that of ctx,
// or of reading the directory. That the connection is encrypted is for the caller to see to.
func (a *Authenticator) Plain(ctx context.Context, username, password string, remote netip.Addr) (Identity, error) {
	id, err := a.plain(ctx.Done(), username, password, remote)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
	a.settle(username, remote, err)
	return id, err
}

// plain is Plain until done is closed; a nil done never is.
func (a *Authenticator) plain(done <-chan struct{}, username, password string, remote netip.Addr) (Identity, error) {
	s, err := a.lookup(username)
	if err != nil {
		return Identity{}, err
	}
	now := a.config.Clock()
	ticket, err := a.admit(s, remote, now)
	if err != nil {
		return Identity{}, err
	}
	fingerprint := a.memory.fingerprint(s, password)
	good, known := a.memory.recall(fingerprint, now)
	if known {
		// The same once more tells a guesser nothing new: it costs no token.
		a.counters.cached.Add(1)
		ticket.giveBack()
	} else {
		if good, err = a.compute(done, s, password, remote); good || err != nil {
			ticket.giveBack()
		}
		if err != nil {
			return Identity{}, err
		}
		a.memory.remember(fingerprint, good, now)
		if !good {
			a.failed(done, s, remote)
		}
	}
	if !good {
		return Identity{}, ErrBadCredentials
	}
	return a.accept(s, remote, now)
}

// compute checks a password as soon as a processor is free for it. The error is ErrThrottled.
func (a *Authenticator) compute(done <-chan struct{}, s subject, password string, remote netip.Addr) (good bool, err error) {
	if err := a.gate.enter(done); err != nil {
		return false, err
	}
	defer a.gate.leave()
	if a.config.Guard.Banned(remote) {
		return false, ErrThrottled // for a guess that was ahead in the queue
	}
	good = s.credential.Verify(password) && s.known
	a.counters.computed.Add(1)
	return good, nil
}

// accept ends a login whose secret was right.
func (a *Authenticator) accept(s subject, remote netip.Addr, now time.Time) (Identity, error) {
	if s.account.Disabled {
		return Identity{}, ErrDisabled
	}
	a.memory.meet(s, remote, now)
	a.config.Guard.Succeeded(remote, a.user(s))
	return Identity{Account: s.account.ID, Address: s.account.Address}, nil
}
