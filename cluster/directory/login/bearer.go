package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearer"
)

// Tokens finds out of whom bearer tokens are; *bearer.Verifier is one.
type Tokens interface {
	// Name returns what the token says of its owner. Errors are bearer.ErrToken, bearer.ErrExpired,
	// bearer.ErrIssuer and that of ctx.
	Name(ctx context.Context, trust bearer.Trust, token string) (string, error)
}

var _ Tokens = (*bearer.Verifier)(nil)

// trust is whose tokens the cluster takes: those of nobody where it is not set, or cannot be read.
func (a *Authenticator) trust() (t bearer.Trust, ok bool) {
	if a.config.Tokens == nil {
		return t, false
	}
	snapshot := a.config.Directory.Snapshot()
	defer snapshot.Close()
	view := directory.View{R: snapshot}
	for _, s := range []struct {
		name string
		into *string
	}{{"oidc_issuer", &t.Issuer}, {"oidc_audience", &t.Audience}, {"oidc_claim", &t.Claim}} {
		text, _, err := view.Setting(s.name)
		if err != nil || text == "" {
			return bearer.Trust{}, false
		}
		*s.into = text
	}
	return t, true
}

// bearerRun is the state of one exchange of OAUTHBEARER or XOAUTH2.
type bearerRun struct {
	*Exchange
	trust   bearer.Trust
	read    func([]byte) (bearerMessage, error)
	refusal any // what the client is told of a token that is not good
}

// startBearer prepares the exchange of one of the two.
func (x *Exchange) startBearer(name string) error {
	trust, ok := x.authenticator.trust()
	if !ok {
		return fmt.Errorf("mechanism %s without an issuer: %w", name, ErrMechanism)
	}
	r := &bearerRun{Exchange: x, trust: trust}
	switch name {
	case MechanismOAuth: // RFC 7628, section 3.2.2
		r.read = readOAuthBearer
		r.refusal = struct {
			Status   string `json:"status"`
			Metadata string `json:"openid-configuration"`
		}{"invalid_token", trust.Metadata()}
	default: // Gmail's documentation
		r.read = readXOAuth2
		r.refusal = struct {
			Status  string `json:"status"`
			Schemes string `json:"schemes"`
		}{"401", "bearer"}
	}
	x.step = r.token
	return nil
}

// token checks the client's only message. A token that is not good is answered by what to do about it, and
// fails when the client has seen that (RFC 7628, section 3.2.3). What is temporary fails at once: a client
// that is told of its token throws it away.
func (r *bearerRun) token(response []byte) ([]byte, bool, error) {
	m, err := r.read(response)
	if err != nil {
		return nil, false, err
	}
	r.username = m.user
	id, err := r.authenticator.bearer(until{r.conn.Done}, r.trust, m, r.conn.Remote)
	if err == nil {
		r.username, r.identity = id.Address, id
		return nil, true, nil
	}
	if !errors.Is(err, ErrBadCredentials) && !errors.Is(err, ErrAuthorization) {
		return nil, false, err
	}
	challenge, wrong := json.Marshal(r.refusal)
	if wrong != nil {
		return nil, false, fmt.Errorf("tell that a token is not good: %w", wrong)
	}
	r.step = func([]byte) ([]byte, bool, error) { return nil, false, err }
	return challenge, false, nil
}

// bearer is a login by token. Tokens of the throttle are for what could be a guess or a nuisance: not for
// the issuer's absence, nor for a token that was good until a moment ago.
func (a *Authenticator) bearer(ctx context.Context, trust bearer.Trust, m bearerMessage, remote netip.Addr) (Identity, error) {
	if m.token == "" { // the client only asks where to get one (RFC 7628, section 4.3)
		return Identity{}, fmt.Errorf("no token: %w", ErrBadCredentials)
	}
	now := a.config.Clock()
	ticket, err := a.admitNetwork(remote, now)
	if err != nil {
		return Identity{}, err
	}
	name, err := a.config.Tokens.Name(ctx, trust, m.token)
	switch {
	case errors.Is(err, bearer.ErrExpired):
		ticket.giveBack()
		return Identity{}, fmt.Errorf("%w: %w", ErrBadCredentials, err)
	case errors.Is(err, bearer.ErrToken):
		return Identity{}, fmt.Errorf("%w: %w", ErrBadCredentials, err)
	case errors.Is(err, bearer.ErrIssuer):
		ticket.giveBack()
		return Identity{}, fmt.Errorf("%w: %w", ErrIssuer, err)
	case err != nil:
		ticket.giveBack()
		return Identity{}, fmt.Errorf("check a token: %w", err)
	}
	ticket.giveBack()
	s, err := a.owner(name)
	if err != nil {
		return Identity{}, err
	}
	if !s.authorised(name, m.user) {
		return Identity{}, fmt.Errorf("user %s as %q: %w", s.account.Address, m.user, ErrAuthorization)
	}
	return a.accept(s, remote, now)
}

// owner finds the account that a token's name means. It need not have a password.
func (a *Authenticator) owner(name string) (s subject, err error) {
	snapshot := a.config.Directory.Snapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	account, err := find(directory.View{R: snapshot}, name)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return subject{}, fmt.Errorf("a token of %q, who has no account: %w", name, ErrBadCredentials)
	case err != nil:
		return subject{}, fmt.Errorf("look up the owner of a token: %w", err)
	}
	return subjectOf(account), nil
}

// until is the context that ends when a channel is closed; a nil one never is.
type until struct{ done <-chan struct{} }

var _ context.Context = until{}

// Deadline implements context.Context.
func (u until) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (u until) Done() <-chan struct{} { return u.done }

// Err implements context.Context.
func (u until) Err() error {
	select {
	case <-u.done:
		return context.Canceled
	default:
		return nil
	}
}

// Value implements context.Context.
func (u until) Value(any) any { return nil }
