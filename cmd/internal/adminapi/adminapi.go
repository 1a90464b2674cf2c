// Package adminapi is the admin HTTP API: the door that the command line and automation use. It
// translates JSON to the small interfaces below and errors to HTTP; it decides nothing and keeps
// nothing. docs/operate.md lists its paths.
package adminapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Observer shows the state of the node and the cluster.
type Observer interface {
	Status(ctx context.Context) (Status, error)
	// Ready returns nil when every local replica has a leader and has caught up.
	Ready(ctx context.Context) error
	Hashes(ctx context.Context) (Hashes, error)
	// Snapshots takes a snapshot of each replica of the answering node.
	Snapshots(ctx context.Context) ([]GroupSnapshot, error)
}

// Domains are the mail domains.
type Domains interface {
	Domains(ctx context.Context) ([]Domain, error)
	PutDomain(ctx context.Context, d Domain) error
	DeleteDomain(ctx context.Context, name string) error
}

// Accounts are the mailbox owners.
type Accounts interface {
	Accounts(ctx context.Context, domain string) ([]Account, error)
	Account(ctx context.Context, address string) (Account, error)
	AddAccount(ctx context.Context, a Account) (Account, error)
	ChangeAccount(ctx context.Context, address string, c AccountChange) error
	DeleteAccount(ctx context.Context, address string) error
	Undelete(ctx context.Context, address string, u Undelete) (Undeleted, error)
}

// Sharing is who else has rights on the mailboxes of accounts.
type Sharing interface {
	MailboxACL(ctx context.Context, address, mailbox string) ([]Grant, error)
	ChangeMailboxACL(ctx context.Context, address string, c GrantChange) error
}

// Aliases are addresses that stand for others.
type Aliases interface {
	Aliases(ctx context.Context) ([]Alias, error)
	PutAlias(ctx context.Context, a Alias) error
	DeleteAlias(ctx context.Context, address string) error
}

// Bans are the networks that may not log in on any node.
type Bans interface {
	Bans(ctx context.Context) ([]Ban, error)
	AddBan(ctx context.Context, b Ban) error
	LiftBan(ctx context.Context, network string) error
}

// Settings are those of the cluster.
type Settings interface {
	Settings(ctx context.Context) ([]Setting, error)
	Set(ctx context.Context, name, value string) error
}

// Tokens let nodes join and programs administer.
type Tokens interface {
	CreateJoinToken(ctx context.Context, ttl time.Duration) (JoinToken, error)
	APITokens(ctx context.Context) ([]APIToken, error)
	CreateAPIToken(ctx context.Context, t APIToken) (APIToken, error)
	DeleteAPIToken(ctx context.Context, id string) error
	// CheckAPIToken reports whether secret, hashed with SHA-256, opens the API now.
	CheckAPIToken(ctx context.Context, hash [sha256.Size]byte) (bool, error)
}

// Nodes are the members of the cluster.
type Nodes interface {
	Nodes(ctx context.Context) ([]NodeStatus, error)
	DrainNode(ctx context.Context, id string, drain bool) error
	RemoveNode(ctx context.Context, id string) error
}

// Config says what the API is over. All fields but Metrics are required.
type Config struct {
	Observer Observer
	DKIM     DKIM
	DNSLists DNSLists
	TLSRules TLSRules
	Domains  Domains
	// DomainMails are about the same domains.
	DomainMails  DomainMails
	TLSReports   TLSReports
	DMARCReports DMARCReports
	Accounts     Accounts
	Scripts      Scripts
	Senders      Senders
	Sharing      Sharing
	Aliases      Aliases
	Bans         Bans
	Settings     Settings
	Tokens       Tokens
	Nodes        Nodes
	Filters      Filters
	Inbound      InboundRules
	Explainer    Explainer
	Blobs        BlobStores
	BlobKeys     BlobKeys
	Queue        Queue
	Routing      Routing
	Spam         Spam
	Tracer       Tracer
	Recovery     Recoverer
	Metrics      http.Handler
}

// Local returns the handler for the node's own socket, whose file mode is its access control. It
// has the profiler, the secret keys of bodies and of DKIM, and what tells which words mail has, which the remote one has not.
func Local(cfg Config) http.Handler {
	mux := routes(cfg)
	blobSecretRoutes(mux, cfg.BlobKeys)
	dkimSecretRoutes(mux, cfg.DKIM)
	spamSecretRoutes(mux, cfg.Spam)
	recoveryRoutes(mux, cfg.Recovery)
	filterPlaceRoutes(mux, cfg.Filters)
	explainRoutes(mux, cfg.Explainer)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Remote returns the handler for the TLS listener: everything but the health probes asks for an API
// token in an Authorization field (RFC 6750, section 2.1).
func Remote(cfg Config) http.Handler {
	cfg.Queue = closedQueue{cfg.Queue}
	mux := routes(cfg)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			mux.ServeHTTP(w, r)
			return
		}
		secret, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		ok := false
		if found {
			var err error
			if ok, err = cfg.Tokens.CheckAPIToken(r.Context(), sha256.Sum256([]byte(secret))); err != nil {
				fail(w, err)
				return
			}
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, errUnauthorised)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var (
	errUnauthorised = errors.New("an API token is needed: make one on a node with `rookery api-token create NAME` and send it as `Authorization: Bearer …`")
	errBadRequest   = errors.New("bad request")
)

func routes(cfg Config) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := cfg.Observer.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	observerRoutes(mux, cfg.Observer)
	domainRoutes(mux, cfg.Domains)
	dkimRoutes(mux, cfg.DKIM)
	dnsListRoutes(mux, cfg.DNSLists)
	tlsRuleRoutes(mux, cfg.TLSRules)
	domainMailRoutes(mux, cfg.DomainMails)
	tlsReportRoutes(mux, cfg.TLSReports)
	dmarcReportRoutes(mux, cfg.DMARCReports)
	accountRoutes(mux, cfg.Accounts)
	scriptRoutes(mux, cfg.Scripts)
	senderRoutes(mux, cfg.Senders)
	sharingRoutes(mux, cfg.Sharing)
	aliasRoutes(mux, cfg.Aliases)
	banRoutes(mux, cfg.Bans)
	settingRoutes(mux, cfg.Settings)
	tokenRoutes(mux, cfg.Tokens)
	nodeRoutes(mux, cfg.Nodes)
	blobRoutes(mux, cfg.Blobs)
	blobKeyRoutes(mux, cfg.BlobKeys)
	queueRoutes(mux, cfg.Queue)
	routingRoutes(mux, cfg.Routing)
	inboundRuleRoutes(mux, cfg.Inbound)
	traceRoutes(mux, cfg.Tracer)
	filterRoutes(mux, cfg.Filters)
	spamRoutes(mux, cfg.Spam)
	return mux
}
