package site

import (
	"context"
	"fmt"
	"net"
	"net/url"

	"github.com/rookery-mail/rookery/bench/load"
)

// Target is a server that somebody else started.
type Target struct {
	mx, submission, imap []load.Door
	accounts             []load.Login
	pids                 []int
	sink                 string
}

var _ Outgoing = (*Target)(nil)

// TargetConfig says where it is.
type TargetConfig struct {
	URLs     []string     // smtp://host:port, submission://, submissions://, imap:// (STARTTLS), imaps://
	Accounts []load.Login // that exist there
	PIDs     []int        // roots of its process trees, when they run on this machine
	Sink     string       // HOST:PORT of this machine, to which it sends mail for load.SinkDomain; "" for none
}

// NewTarget reads the addresses and connects to each once, so that a wrong one shows before a run.
func NewTarget(ctx context.Context, cfg TargetConfig) (*Target, error) {
	if len(cfg.Accounts) == 0 {
		return nil, fmt.Errorf("a target needs accounts: --account ADDRESS:PASSWORD, once for each")
	}
	t := &Target{accounts: cfg.Accounts, pids: cfg.PIDs, sink: cfg.Sink}
	for _, raw := range cfg.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("read the target %q: %w", raw, err)
		}
		if err := t.add(u); err != nil {
			return nil, err
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.last(u.Scheme).Address)
		if err != nil {
			return nil, fmt.Errorf("reach the target %s: %w", raw, err)
		}
		_ = conn.Close() // it was only a try
	}
	if len(t.mx) == 0 && len(t.submission) == 0 && len(t.imap) == 0 {
		return nil, fmt.Errorf("a target needs an address: --target smtp://host:port, imap://host:port")
	}
	return t, nil
}

// add understands one address. STARTTLS is used where the scheme says so; smtp:// stays plain, as MX
// traffic may.
func (t *Target) add(u *url.URL) error {
	kinds := map[string]struct {
		list     *[]load.Door
		port     string
		security load.Security
	}{
		"smtp": {&t.mx, "25", load.Plain}, "submission": {&t.submission, "587", load.StartTLS}, "submissions": {&t.submission, "465", load.TLS},
		"imap": {&t.imap, "143", load.StartTLS}, "imap+plain": {&t.imap, "143", load.Plain}, "imaps": {&t.imap, "993", load.TLS},
	}
	k, ok := kinds[u.Scheme]
	if !ok || u.Hostname() == "" {
		return fmt.Errorf("the target %q: use smtp://, submission://, submissions://, imap://, imap+plain:// or imaps:// and a host", u)
	}
	port := u.Port()
	if port == "" {
		port = k.port
	}
	*k.list = append(*k.list, load.Door{Address: net.JoinHostPort(u.Hostname(), port), Security: k.security})
	return nil
}

func (t *Target) last(scheme string) load.Door {
	list := t.mx
	switch scheme {
	case "submission", "submissions":
		list = t.submission
	case "imap", "imaps", "imap+plain":
		list = t.imap
	}
	return list[len(list)-1]
}

// Name is "target".
func (t *Target) Name() string { return "target" }

// MX are the smtp:// addresses.
func (t *Target) MX() []load.Door { return t.mx }

// Submission are the submission:// and submissions:// addresses.
func (t *Target) Submission() []load.Door { return t.submission }

// IMAP are the imap:// and imaps:// addresses.
func (t *Target) IMAP() []load.Door { return t.imap }

// Accounts gives those that were named, as many of them as are wanted and there.
func (t *Target) Accounts(_ context.Context, n int) ([]load.Login, error) {
	return t.accounts[:min(n, len(t.accounts))], nil
}

// Usage reads the named processes.
func (t *Target) Usage(context.Context) (Usage, error) {
	if len(t.pids) == 0 {
		return Usage{}, nil
	}
	u, err := load.Measure(t.pids)
	return Usage{Usage: u, Measured: true}, err
}

// Foreign is the configured sink.
func (t *Target) Foreign() string { return t.sink }

// Close does nothing: the server is not ours.
func (t *Target) Close() error { return nil }
