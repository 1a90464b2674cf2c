package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rookery-mail/rookery/cluster/directory"
)

const (
	// freshFor is how long keys are used unasked: one that the issuer withdrew is refused after it.
	freshFor = time.Hour
	// staleFor is how long keys are used while the issuer does not answer.
	staleFor = 24 * time.Hour
	// askPause is between two questions to the issuer, so that clients with invented keys cannot have
	// it asked more often.
	askPause = 10 * time.Second
	// maxDocument bounds an answer of the issuer in octets.
	maxDocument = 256 << 10
)

// issuer is what is known of one. Its keys are read when the first token comes, and again when they are old
// or a token names one that is not among them.
type issuer struct {
	url, metadata string
	client        *http.Client
	clock         func() time.Time
	log           *slog.Logger
	askTime       time.Duration

	ring atomic.Pointer[keyring] // nil until the issuer was asked; written by whoever has the turn
	// turn is held, one token of it, by whoever asks the issuer; it guards what follows.
	turn chan struct{}
	next time.Time // not to be asked before
	last error     // how the last question went
}

func newIssuer(trust Trust, client *http.Client, config Config) *issuer {
	return &issuer{url: trust.Issuer, metadata: trust.Metadata(), client: client, clock: config.Clock,
		log: config.Logger, askTime: config.AskTime, turn: make(chan struct{}, 1)}
}

// newClient makes a client that follows no redirection: where keys are read is for the issuer's metadata to
// say.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// verify returns the payload of a token that the issuer signed. Errors are ErrToken, ErrIssuer and that of
// ctx.
func (i *issuer) verify(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	ring, err := i.current(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := ring.verify(token)
	if errors.Is(err, errUnknownKey) {
		if err := i.take(ctx); err != nil {
			return nil, err
		}
		ring, err = i.ask(ctx, ring)
		i.leave()
		if err != nil {
			return nil, err
		}
		payload, err = ring.verify(token)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrToken, err)
	}
	return payload, nil
}

// current is the ring to begin with. One that is older than freshFor is read anew, by one login at a time;
// the others, and that one too where the issuer does not answer, go on with the old one.
func (i *issuer) current(ctx context.Context) (*keyring, error) {
	ring := i.ring.Load()
	var age time.Duration
	if ring != nil {
		age = i.clock().Sub(ring.read)
		if age < freshFor {
			return ring, nil
		}
	}
	if ring == nil || age >= staleFor {
		if err := i.take(ctx); err != nil {
			return nil, err
		}
	} else {
		select {
		case i.turn <- struct{}{}:
		default:
			return ring, nil
		}
	}
	defer i.leave()
	fresh, err := i.ask(ctx, ring)
	if err != nil && ring != nil && age < staleFor {
		return ring, nil
	}
	return fresh, err
}

// take waits for the turn.
func (i *issuer) take(ctx context.Context) error {
	select {
	case i.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the keys of %s: %w", i.url, ctx.Err())
	}
}

func (i *issuer) leave() { <-i.turn }

// ask reads the keys anew, unless another did since the caller saw the ring, or it is too early. Its caller
// has the turn.
func (i *issuer) ask(ctx context.Context, seen *keyring) (*keyring, error) {
	now := i.clock()
	if ring := i.ring.Load(); ring != seen || now.Before(i.next) {
		if ring != seen || i.last == nil {
			return ring, nil
		}
		return nil, i.last
	}
	asking, cancel := context.WithTimeout(ctx, i.askTime)
	defer cancel()
	keys, err := i.fetch(asking)
	if err != nil && ctx.Err() != nil { // the client's end says nothing of the issuer
		return nil, fmt.Errorf("read the keys of %s: %w", i.url, ctx.Err())
	}
	i.next, i.last = now.Add(askPause), nil
	if err != nil {
		i.log.Warn("the issuer of tokens cannot be asked", "issuer", i.url, "error", err)
		i.last = fmt.Errorf("%w: %w", ErrIssuer, err)
		return nil, i.last
	}
	ring := &keyring{keys: keys, read: now}
	i.ring.Store(ring)
	return ring, nil
}

// fetch reads the issuer's metadata and its keys (OpenID Connect Discovery 1.0, section 4).
func (i *issuer) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	data, err := i.get(ctx, i.metadata)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, fmt.Errorf("read the metadata %s: %w", i.metadata, err)
	}
	if metadata.Issuer != i.url { // section 4.3
		return nil, fmt.Errorf("the issuer %s says that it is %.200q", i.url, metadata.Issuer)
	}
	if data, err = i.get(ctx, metadata.Keys); err != nil {
		return nil, err
	}
	return readKeys(data)
}

// get reads a document of JSON.
func (i *issuer) get(ctx context.Context, address string) ([]byte, error) {
	if err := directory.CheckIssuerURL(address); err != nil {
		return nil, fmt.Errorf("ask the issuer at %.200q: %w", address, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the issuer at %s: it answers %s", address, response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("ask the issuer at %s: %w", address, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("ask the issuer at %s: more than %d octets", address, maxDocument)
	}
	return data, nil
}
