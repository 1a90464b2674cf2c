package adminapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
)

// fake answers everything with fail, or remembers what it was asked.
type fake struct {
	fail  error
	asked []string
}

func (f *fake) note(format string, args ...any) error {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.fail
}

func (f *fake) Status(context.Context) (Status, error) {
	return Status{Cluster: "c1", Healthy: true}, f.note("status")
}
func (f *fake) Ready(context.Context) error               { return f.note("ready") }
func (f *fake) Hashes(context.Context) (Hashes, error)    { return Hashes{}, f.note("hashes") }
func (f *fake) Domains(context.Context) ([]Domain, error) { return nil, f.note("domains") }
func (f *fake) Snapshots(context.Context) ([]GroupSnapshot, error) {
	return nil, f.note("snapshots")
}
func (f *fake) PutDomain(_ context.Context, d Domain) error { return f.note("put domain %s", d.Name) }
func (f *fake) DeleteDomain(_ context.Context, name string) error {
	return f.note("delete domain %s", name)
}
func (f *fake) Accounts(_ context.Context, domain string) ([]Account, error) {
	return nil, f.note("accounts %s", domain)
}
func (f *fake) Account(_ context.Context, address string) (Account, error) {
	return Account{Address: address}, f.note("account %s", address)
}
func (f *fake) AddAccount(_ context.Context, a Account) (Account, error) {
	return a, f.note("add %s", a.Address)
}
func (f *fake) ChangeAccount(_ context.Context, address string, c AccountChange) error {
	return f.note("change %s disabled=%v", address, c.Disabled != nil && *c.Disabled)
}
func (f *fake) HoldAccount(_ context.Context, address string, h SendingHold) error {
	return f.note("hold %s: %s", address, h.Why)
}
func (f *fake) ReleaseAccount(_ context.Context, address string, r SendingRelease) (SendingReleased, error) {
	return SendingReleased{Entries: 2}, f.note("release %s delete=%v", address, r.DeleteHeld)
}
func (f *fake) DeleteAccount(_ context.Context, address string) error {
	return f.note("delete %s", address)
}
func (f *fake) Bans(context.Context) ([]Ban, error) { return nil, f.note("bans") }
func (f *fake) AddBan(_ context.Context, b Ban) error {
	return f.note("ban %s %s", b.Network, b.Reason)
}
func (f *fake) LiftBan(_ context.Context, network string) error { return f.note("lift %s", network) }
func (f *fake) Aliases(context.Context) ([]Alias, error)        { return nil, f.note("aliases") }
func (f *fake) Undelete(_ context.Context, address string, u Undelete) (Undeleted, error) {
	return Undeleted{Messages: 3}, f.note("undelete %s from %s dry=%v", address, u.Mailbox, u.DryRun)
}
func (f *fake) MailboxACL(_ context.Context, address, mailbox string) ([]Grant, error) {
	return nil, f.note("acl of %s of %s", mailbox, address)
}
func (f *fake) ChangeMailboxACL(_ context.Context, address string, c GrantChange) error {
	return f.note("acl of %s of %s: %s %s", c.Mailbox, address, c.Identifier, c.Rights)
}
func (f *fake) PutAlias(_ context.Context, a Alias) error {
	return f.note("alias %s %v", a.Address, a.Targets)
}
func (f *fake) DeleteAlias(_ context.Context, address string) error {
	return f.note("delete alias %s", address)
}
func (f *fake) Settings(context.Context) ([]Setting, error) { return nil, f.note("settings") }
func (f *fake) Set(_ context.Context, name, value string) error {
	return f.note("set %s=%s", name, value)
}
func (f *fake) CreateJoinToken(_ context.Context, ttl time.Duration) (JoinToken, error) {
	return JoinToken{Token: "t"}, f.note("token %v", ttl)
}
func (f *fake) APITokens(context.Context) ([]APIToken, error) { return nil, f.note("api tokens") }
func (f *fake) CreateAPIToken(_ context.Context, t APIToken) (APIToken, error) {
	return t, f.note("api token %s", t.Name)
}
func (f *fake) DeleteAPIToken(_ context.Context, id string) error {
	return f.note("delete api token %s", id)
}
func (f *fake) CheckAPIToken(_ context.Context, hash [sha256.Size]byte) (bool, error) {
	return hash == sha256.Sum256([]byte("good")), f.fail
}
func (f *fake) Nodes(context.Context) ([]NodeStatus, error) { return nil, f.note("nodes") }
func (f *fake) DrainNode(_ context.Context, id string, drain bool) error {
	return f.note("drain %s %v", id, drain)
}
func (f *fake) RemoveNode(_ context.Context, id string) error { return f.note("remove %s", id) }
func (f *fake) BlobSetting(context.Context) (setting.Setting, error) {
	return setting.Default(), f.note("blob setting")
}
func (f *fake) UseBlobs(_ context.Context, u BlobUse) error {
	return f.note("use %s moved=%v", u.Setting.URL, u.Moved)
}
func (f *fake) Blobs(context.Context) (Blobs, error) { return Blobs{}, f.note("blobs") }
func (f *fake) BlobStats(context.Context) (BlobStats, error) {
	return BlobStats{}, f.note("blob stats")
}
func (f *fake) FlushBlobs(context.Context) (BlobWork, error) {
	return BlobWork{}, f.note("flush")
}
func (f *fake) CollectBlobs(_ context.Context, c BlobCollect) (BlobWork, error) {
	if c.GraceSeconds == nil {
		return BlobWork{}, f.note("collect")
	}
	return BlobWork{}, f.note("collect after %d", *c.GraceSeconds)
}
func (f *fake) VerifyBlobs(_ context.Context, v BlobVerify) (BlobVerified, error) {
	return BlobVerified{}, f.note("verify %d after %d at %d", v.Partition, v.After, v.Rate)
}
func (f *fake) BlobKeys(context.Context) ([]BlobKey, error) { return nil, f.note("blob keys") }
func (f *fake) RotateBlobKey(context.Context) (BlobKey, error) {
	return BlobKey{}, f.note("rotate")
}
func (f *fake) RetireBlobKey(_ context.Context, id string) error { return f.note("retire %s", id) }
func (f *fake) ExportBlobKeys(context.Context) (BlobSecrets, error) {
	return BlobSecrets{}, f.note("export")
}
func (f *fake) ImportBlobKeys(_ context.Context, k BlobSecrets) error {
	return f.note("import %s", k.Text)
}

func (f *fake) Routes(context.Context) ([]Route, error)    { return nil, f.note("routes") }
func (f *fake) Egresses(context.Context) ([]Egress, error) { return nil, f.note("egress") }
func (f *fake) Sites(context.Context) ([]Site, error)      { return nil, f.note("sites") }
func (f *fake) PutRoute(_ context.Context, r Route) error {
	return f.note("put route %s by %v", r.Name, r.Hosts)
}
func (f *fake) DeleteRoute(_ context.Context, name string) error {
	return f.note("delete route %s", name)
}
func (f *fake) TestRoute(_ context.Context, t RouteTest) (RouteWay, error) {
	return RouteWay{}, f.note("test %s to %s", t.Sender, t.Recipient)
}
func (f *fake) PutEgress(_ context.Context, e Egress) error {
	return f.note("put egress %s of %s", e.Address, e.Node)
}
func (f *fake) DeleteEgress(_ context.Context, address string) error {
	return f.note("delete egress %s", address)
}
func (f *fake) PauseEgress(_ context.Context, address string, pause bool) error {
	return f.note("pause %s %v", address, pause)
}
func (f *fake) UnblockEgress(_ context.Context, address, site string) error {
	return f.note("unblock %s at %s", address, site)
}
func (f *fake) QueueList(_ context.Context, q QueueQuery) (QueueListing, error) {
	return QueueListing{}, f.note("queue of %s, %d", q.Filter.Domain, q.Limit)
}
func (f *fake) QueueEntry(_ context.Context, id string) (QueueEntry, error) {
	return QueueEntry{ID: id}, f.note("entry %s", id)
}
func (f *fake) QueueEdit(_ context.Context, e QueueEdit) (QueueEdited, error) {
	return QueueEdited{}, f.note("%s %v dry=%v", e.Action, e.Filter.IDs, e.DryRun)
}
func (f *fake) QueueSummary(_ context.Context, q QueueFilter) (QueueSummary, error) {
	return QueueSummary{}, f.note("queue summary of %s", q.Account)
}

func (f *fake) DNSLists(context.Context) ([]DNSList, error) { return nil, f.note("dns lists") }
func (f *fake) PutDNSList(_ context.Context, l DNSList) error {
	return f.note("dns list %s %s off=%v", l.Zone, l.Codes, l.Off)
}
func (f *fake) DeleteDNSList(_ context.Context, zone string) error {
	return f.note("no dns list %s", zone)
}
func (f *fake) TestDNSLists(_ context.Context, address string) ([]DNSListAnswer, error) {
	return nil, f.note("dns lists about %s", address)
}

func (f *fake) TLSRules(context.Context) ([]TLSRule, error) { return nil, f.note("tls rules") }
func (f *fake) PutTLSRule(_ context.Context, r TLSRule) error {
	return f.note("tls rule %s %s %v", r.Domain, r.Level, r.Names)
}
func (f *fake) DeleteTLSRule(_ context.Context, domain string) error {
	return f.note("no tls rule %s", domain)
}

func (f *fake) SenderList(_ context.Context, of string) ([]SenderEntry, error) {
	return nil, f.note("senders of %s", of)
}
func (f *fake) PutSenderEntry(_ context.Context, e SenderEntry) error {
	return f.note("%s %s for %s", e.Action, e.Sender, e.Of)
}
func (f *fake) RemoveSenderEntry(_ context.Context, of, sender string) error {
	return f.note("no %s for %s", sender, of)
}
func (f *fake) InboundPolicies(context.Context) ([]InboundPolicy, error) {
	return nil, f.note("policies")
}
func (f *fake) EffectivePolicy(_ context.Context, recipient string) (InboundPolicy, error) {
	return InboundPolicy{}, f.note("policy of %s", recipient)
}
func (f *fake) PutInboundPolicy(_ context.Context, p InboundPolicy) error {
	return f.note("policy of %s is %s", p.Of, p.DMARC)
}
func (f *fake) RemoveInboundPolicy(_ context.Context, of string) error {
	return f.note("no policy of %s", of)
}
func (f *fake) Explain(_ context.Context, q ExplainQuery) (Explanation, error) {
	return Explanation{}, f.note("explain %s from %s", q.Message, q.Client)
}

func (f *fake) Trace(_ context.Context, q TraceQuery) (Traces, error) {
	return Traces{}, f.note("trace %s, %d", q.Name, q.Limit)
}

func (f *fake) Filters(context.Context) ([]Filter, error) { return nil, f.note("filters") }
func (f *fake) AddFilter(_ context.Context, x NewFilter) error {
	return f.note("filter %s %s %v", x.Name, x.Kind, *x.Closed)
}
func (f *fake) ChangeFilter(_ context.Context, name string, c FilterChange) error {
	return f.note("filter %s %v", name, *c.Closed)
}
func (f *fake) DeleteFilter(_ context.Context, name string) error {
	return f.note("no filter %s", name)
}
func (f *fake) TestFilters(_ context.Context, t FilterTest) (FilterVerdict, error) {
	return FilterVerdict{}, f.note("test %d octets", len(t.Text))
}

func over(f *fake) Config {
	return Config{Observer: f, Filters: f, Domains: f, Accounts: f, Scripts: f, Senders: f, Sharing: f, Aliases: f, Bans: f, Settings: f, Tokens: f, Nodes: f, Blobs: f, BlobKeys: f, Queue: f, Tracer: f, Routing: f, Recovery: f, DNSLists: f, TLSRules: f, Inbound: f, Explainer: f}
}

// Recover tells of two packs, and fails where that is asked for.
func (f *fake) Recover(_ context.Context, r Recovery, progress func(RecoveryReport)) (RecoveryReport, error) {
	if r.Cluster == "none" {
		return RecoveryReport{}, fmt.Errorf("%w: no packs there", directory.ErrInvalid)
	}
	if r.Cluster == "sealed" {
		return RecoveryReport{Packs: 1, Faults: []string{"no key"}}, fmt.Errorf("%w: none that could be read", directory.ErrInvalid)
	}
	progress(RecoveryReport{Packs: 1})
	if r.Cluster == "away" {
		return RecoveryReport{Packs: 2}, cluster.ErrUnavailable
	}
	return RecoveryReport{Packs: 2, Done: true}, nil
}

// TestSocket: every call of the command line arrives through the socket as it was meant.
func TestSocket(t *testing.T) {
	f := &fake{}
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: Local(over(f))}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-done }()
	c := Dial(path)
	yes, grace := true, int64(60)
	for _, call := range []struct {
		method, path string
		in           any
		want         string
	}{
		{"GET", "/v1/status", nil, "status"},
		{"POST", "/v1/domains", Domain{Name: "example.org"}, "put domain example.org"},
		{"DELETE", "/v1/domains/example.org", nil, "delete domain example.org"},
		{"GET", "/v1/accounts?domain=example.org", nil, "accounts example.org"},
		{"POST", "/v1/accounts", Account{Address: "a@example.org"}, "add a@example.org"},
		{"GET", "/v1/accounts/a%2Fb@example.org", nil, "account a/b@example.org"},
		{"POST", "/v1/accounts/a@example.org/undelete", Undelete{Mailbox: "Sent", DryRun: true}, "undelete a@example.org from Sent dry=true"},
		{"GET", "/v1/accounts/a@example.org/acl?mailbox=Lists%2FGo", nil, "acl of Lists/Go of a@example.org"},
		{"POST", "/v1/accounts/a@example.org/acl", GrantChange{Mailbox: "Sent", Identifier: "b@example.org", Rights: "+lr"},
			"acl of Sent of a@example.org: b@example.org +lr"},
		{"PATCH", "/v1/accounts/a@example.org", AccountChange{Disabled: &yes}, "change a@example.org disabled=true"},
		{"POST", "/v1/accounts/a@example.org/hold", SendingHold{Why: "stolen"}, "hold a@example.org: stolen"},
		{"POST", "/v1/accounts/a@example.org/release", SendingRelease{DeleteHeld: true}, "release a@example.org delete=true"},
		{"DELETE", "/v1/accounts/a@example.org", nil, "delete a@example.org"},
		{"GET", "/v1/bans", nil, "bans"},
		{"GET", "/v1/scripts?owner=a@b.example", nil, "scripts a@b.example"},
		{"GET", "/v1/scripts/x%2Fy?owner=a@b.example", nil, "script a@b.example x/y"},
		{"POST", "/v1/scripts?owner=a@b.example", Script{Name: "x"}, "put script a@b.example x"},
		{"DELETE", "/v1/scripts/x", nil, "delete script  x"},
		{"PUT", "/v1/active-script?owner=a@b.example", Script{Name: "x"}, "activate script a@b.example x"},
		{"POST", "/v1/script-check", Script{Text: "stop;"}, "check script stop;"},
		{"POST", "/v1/bans", Ban{Network: "192.0.2.1", Reason: "guesses"}, "ban 192.0.2.1 guesses"},
		{"DELETE", "/v1/bans/192.0.2.0%2F24", nil, "lift 192.0.2.0/24"},
		{"POST", "/v1/aliases", Alias{Address: "o@example.org", Targets: []string{"a", "b"}}, "alias o@example.org [a b]"},
		{"PUT", "/v1/settings/max_recipients", Setting{Value: "7"}, "set max_recipients=7"},
		{"POST", "/v1/tokens", JoinTokenRequest{TTLSeconds: 60}, "token 1m0s"},
		{"POST", "/v1/api-tokens", APIToken{Name: "m"}, "api token m"},
		{"POST", "/v1/nodes/n2/drain", nil, "drain n2 true"},
		{"POST", "/v1/nodes/n2/resume", nil, "drain n2 false"},
		{"DELETE", "/v1/nodes/n2", nil, "remove n2"},
		{"GET", "/v1/blobs", nil, "blobs"},
		{"GET", "/v1/blobs/setting", nil, "blob setting"},
		{"GET", "/v1/blobs/stats", nil, "blob stats"},
		{"PUT", "/v1/blobs/setting", BlobUse{Setting: setting.Setting{URL: "s3://mail"}, Moved: true}, "use s3://mail moved=true"},
		{"POST", "/v1/blobs/flush", nil, "flush"},
		{"POST", "/v1/blobs/collect", BlobCollect{}, "collect"},
		{"POST", "/v1/blobs/collect", BlobCollect{GraceSeconds: &grace}, "collect after 60"},
		{"POST", "/v1/blobs/verify", BlobVerify{Partition: 3, After: 9, Rate: 1000}, "verify 3 after 9 at 1000"},
		{"GET", "/v1/blobs/keys", nil, "blob keys"},
		{"POST", "/v1/blobs/keys", nil, "rotate"},
		{"POST", "/v1/blobs/keys/0102030405060708/retire", nil, "retire 0102030405060708"},
		{"GET", "/v1/blobs/secrets", nil, "export"},
		{"POST", "/v1/blobs/secrets", BlobSecrets{Text: "x"}, "import x"},
		{"POST", "/v1/queue/list", QueueQuery{Filter: QueueFilter{Domain: "a.b", Body: "x"}, Limit: 5}, "queue of a.b, 5"},
		{"GET", "/v1/queue/3-17", nil, "entry 3-17"},
		{"POST", "/v1/queue/edit", QueueEdit{Action: "hold", Filter: QueueFilter{IDs: []string{"3-17"}}, DryRun: true}, "hold [3-17] dry=true"},
		{"GET", "/v1/routes", nil, "routes"},
		{"POST", "/v1/routes", Route{Name: "out", Hosts: []string{"h"}}, "put route out by [h]"},
		{"DELETE", "/v1/routes/out", nil, "delete route out"},
		{"POST", "/v1/routes-test", RouteTest{Sender: "a@b", Recipient: "c@d"}, "test a@b to c@d"},
		{"GET", "/v1/egress", nil, "egress"},
		{"POST", "/v1/egress", Egress{Address: "192.0.2.1", Node: "n1"}, "put egress 192.0.2.1 of n1"},
		{"DELETE", "/v1/egress/2001:db8::1", nil, "delete egress 2001:db8::1"},
		{"POST", "/v1/egress/192.0.2.1/pause", nil, "pause 192.0.2.1 true"},
		{"POST", "/v1/egress/192.0.2.1/resume", nil, "pause 192.0.2.1 false"},
		{"DELETE", "/v1/egress/192.0.2.1/blocks/example.com", nil, "unblock 192.0.2.1 at example.com"},
		{"GET", "/v1/sites", nil, "sites"},
		{"POST", "/v1/queue/summary", QueueFilter{Account: "a@b"}, "queue summary of a@b"},
		{"GET", "/v1/dns-lists", nil, "dns lists"},
		{"POST", "/v1/dns-lists", DNSList{Zone: "bl.a", Codes: "127.0.0.2=3", Off: true}, "dns list bl.a 127.0.0.2=3 off=true"},
		{"DELETE", "/v1/dns-lists/bl.a", nil, "no dns list bl.a"},
		{"GET", "/v1/dns-lists-test/2001:db8::1", nil, "dns lists about 2001:db8::1"},
		{"GET", "/v1/tls-rules", nil, "tls rules"},
		{"POST", "/v1/tls-rules", TLSRule{Domain: ".a.b", Level: "verify", Names: []string{"c"}}, "tls rule .a.b verify [c]"},
		{"DELETE", "/v1/tls-rules/.a.b", nil, "no tls rule .a.b"},
		{"GET", "/v1/filters", nil, "filters"},
		{"POST", "/v1/filters", NewFilter{Name: "f", Kind: "clamd", FilterChange: FilterChange{Closed: &yes}}, "filter f clamd true"},
		{"PATCH", "/v1/filters/f", FilterChange{Closed: &yes}, "filter f true"},
		{"DELETE", "/v1/filters/f", nil, "no filter f"},
		{"POST", "/v1/filters-test", FilterTest{Text: make([]byte, 3<<20)}, "test 3145728 octets"},
		{"GET", "/v1/senders?of=a.b", nil, "senders of a.b"},
		{"POST", "/v1/senders", SenderEntry{Of: "a@b", Sender: "c.d", Action: "allow"}, "allow c.d for a@b"},
		{"DELETE", "/v1/senders?of=a@b&sender=192.0.2.0%2F24", nil, "no 192.0.2.0/24 for a@b"},
		{"GET", "/v1/policies", nil, "policies"},
		{"GET", "/v1/policies/a@b", nil, "policy of a@b"},
		{"POST", "/v1/policies", InboundPolicy{Of: "from:c.d", DMARC: "tag"}, "policy of from:c.d is tag"},
		{"DELETE", "/v1/policies/from:c.d", nil, "no policy of from:c.d"},
		{"POST", "/v1/explain", ExplainQuery{Client: "192.0.2.1", Message: []byte("hi")}, "explain hi from 192.0.2.1"},
		{"POST", "/v1/trace", TraceQuery{Name: "a@b", Limit: 3}, "trace a@b, 3"},
		{"GET", "/v1/debug/hash", nil, "hashes"},
		{"POST", "/v1/debug/snapshot", nil, "snapshots"},
	} {
		f.asked = nil
		if err := c.Do(t.Context(), call.method, call.path, call.in, nil); err != nil {
			t.Errorf("%s %s: %v", call.method, call.path, err)
		}
		if len(f.asked) != 1 || f.asked[0] != call.want {
			t.Errorf("%s %s asked %v, want %s", call.method, call.path, f.asked, call.want)
		}
	}
	f.fail = fmt.Errorf("no account a@example.org: %w", directory.ErrNotFound)
	if err := c.Do(t.Context(), "GET", "/v1/status", nil, nil); err == nil || err.Error() != f.fail.Error() {
		t.Errorf("the node's words came as %v", err)
	}
}

// TestRemoteReadsNoMail: whoever has a token may not find out by a filter what is in messages.
func TestRemoteReadsNoMail(t *testing.T) {
	h := Remote(over(&fake{}))
	for path, body := range map[string]string{
		"/v1/queue/list": `{"filter": {"body": "x"}}`, "/v1/queue/edit": `{"action": "hold", "filter": {"header": "Subject: x"}}`, "/v1/queue/summary": `{"body": "x"}`,
	} {
		if got := request(t, h, "POST", path, "good", body).Code; got != 400 {
			t.Errorf("%s %s: %d", path, body, got)
		}
		if got := request(t, h, "POST", path, "good", `{}`).Code; got != 200 {
			t.Errorf("%s without: %d", path, got)
		}
	}
	for path, method := range map[string]string{"/v1/filters": "POST", "/v1/filters/f": "PATCH"} { // a filter is shown all mail
		if got := request(t, h, method, path, "good", `{"closed": true}`).Code; got != 405 {
			t.Errorf("%s %s: %d", method, path, got)
		}
	}
}

func TestNoNode(t *testing.T) {
	err := Dial(filepath.Join(t.TempDir(), "none")).Do(t.Context(), "GET", "/v1/status", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "rookery serve") {
		t.Errorf("error %v does not say what to do", err)
	}
}

func request(t *testing.T, h http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestRemote: over TLS nothing but the probes answers without a token, and there is no profiler.
func TestRemote(t *testing.T) {
	h := Remote(over(&fake{}))
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200},
		{"/v1/status", "", 401}, {"/v1/status", "bad", 401}, {"/v1/status", "good", 200},
		{"/debug/pprof/", "good", 404},
		{"/v1/blobs", "good", 200}, {"/v1/blobs/keys", "good", 200}, {"/v1/blobs/secrets", "good", 404},
	} {
		if got := request(t, h, "GET", c.path, c.token, "").Code; got != c.want {
			t.Errorf("%s with token %q: %d, want %d", c.path, c.token, got, c.want)
		}
	}
}

func TestStatusCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{directory.ErrInvalid, 400}, {setting.ErrInvalid, 400}, {directory.ErrNotFound, 404}, {directory.ErrNoDomain, 404}, {directory.ErrExists, 409},
		{directory.ErrInUse, 409}, {cluster.ErrUnavailable, 503}, {cluster.ErrStorageFull, 507}, {errors.New("else"), 500},
	} {
		f := &fake{fail: fmt.Errorf("something: %w", c.err)}
		if got := request(t, Local(over(f)), "GET", "/v1/domains", "", "").Code; got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestBadRequests(t *testing.T) {
	h := Local(over(&fake{}))
	for _, body := range []string{"", "{", `{"nome": "x"}`, `{"name": 7}`, `{"name": "` + strings.Repeat("x", 2<<20) + `"}`} {
		if got := request(t, h, "POST", "/v1/domains", "", body); got.Code != 400 || !strings.Contains(got.Body.String(), "error") {
			t.Errorf("%.20s…: %d %s", body, got.Code, got.Body)
		}
	}
	if got := request(t, h, "POST", "/v1/tokens", "", `{"ttl_seconds": 1}`).Code; got != 400 {
		t.Errorf("a token for a second: %d", got)
	}
}
