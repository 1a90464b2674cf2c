package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// office is a node that answers what it is told to, and remembers what it was sent.
type office struct {
	config  string
	answers map[string]any // by method and path
	sent    map[string]json.RawMessage
}

func newOffice(t *testing.T) *office {
	t.Helper()
	dir := t.TempDir()
	o := &office{config: filepath.Join(dir, "rookery.toml"), answers: map[string]any{}, sent: map[string]json.RawMessage{}}
	text := "node = \"n1\"\ndata_dir = \"" + dir + "\"\n[smtp]\nhostname = \"n1.example.org\"\n[admin]\nsocket = \"" + filepath.Join(dir, "s") + "\"\n"
	if err := os.WriteFile(o.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: o}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return o
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.Method + " " + r.URL.Path
	var body json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body) // some have none
	o.sent[what] = body
	if answer, ok := o.answers[what]; ok {
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (o *office) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return run(t, append([]string{"--config", o.config, "blob"}, args...)...)
}

// TestBlobUse: what is said is sent, what is not said stays, and what belongs to another store does not.
func TestBlobUse(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := setting.Default()
	now.URL, now.Endpoint, now.Credentials, now.CredentialsFile = "s3://old", "https://old.example.org", "file", "/etc/old"
	now.PackAgeSeconds = 60
	for _, c := range []struct {
		args []string
		want func(s *setting.Setting)
	}{
		{[]string{"use", "s3://old", "--credentials-file", "/etc/new"}, func(s *setting.Setting) { s.CredentialsFile = "/etc/new" }},
		{[]string{"use", "s3://new/x", "--region", "eu", "--style", "path", "--ca-file", ca, "--credentials", "env", "--insecure"}, func(s *setting.Setting) {
			s.URL, s.Endpoint, s.Region, s.Style, s.CA, s.Credentials, s.CredentialsFile, s.Insecure = "s3://new/x", "", "eu", "path", "PEM", "env", "", true
		}},
		{[]string{"use", "file:///srv/mail", "--encrypt", "--pack-size", "8MiB", "--staging", "1GiB"}, func(s *setting.Setting) {
			s.URL, s.Endpoint, s.Credentials, s.CredentialsFile = "file:///srv/mail", "", "", ""
			s.Encrypt, s.PackBytes, s.StagingBytes = true, 8<<20, 1<<30
		}},
		{[]string{"use", "embedded"}, func(s *setting.Setting) { s.Embedded = true }},
		{[]string{"set", "--pack-age", "6h", "--grace", "1500ms", "--price-puts", "0.01", "--currency", "EUR", "--encrypt=false"}, func(s *setting.Setting) {
			s.PackAgeSeconds, s.GraceSeconds, s.Prices.Puts, s.Prices.Currency, s.Prices.Source = 6*3600, 2, 0.01, "EUR", "rookery blob set"
		}},
	} {
		o := newOffice(t)
		o.answers["GET /v1/blobs/setting"] = now
		if _, err := o.run(t, c.args...); err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		want := now
		c.want(&want)
		var got adminapi.BlobUse
		if err := json.Unmarshal(o.sent["PUT /v1/blobs/setting"], &got); err != nil {
			t.Fatal(err)
		}
		wanted, _ := want.Text()
		if text, _ := got.Setting.Text(); text != wanted {
			t.Errorf("%v sent %s\nwanted %s", c.args, text, wanted)
		}
		if got.Check != (c.args[0] == "use") {
			t.Errorf("%v: check is %v", c.args, got.Check)
		}
	}
}

// TestBlobWork: work is asked for until nothing is left; what cannot be done is said.
func TestBlobWork(t *testing.T) {
	o := newOffice(t)
	o.answers["POST /v1/blobs/flush"] = adminapi.BlobWork{}
	if out, err := o.run(t, "flush"); err != nil || !strings.Contains(out, "All bodies are packed") {
		t.Errorf("%s %v", out, err)
	}
	o.answers["POST /v1/blobs/flush"] = adminapi.BlobWork{Left: 3, Bytes: 2048, Problems: []string{"partition 1: the store is down"}}
	if _, err := o.run(t, "flush", "--wait", "1ns"); err == nil || !strings.Contains(err.Error(), "3 staged bodies of 2KiB are left") ||
		!strings.Contains(err.Error(), "the store is down") {
		t.Errorf("error %v", err)
	}
	if _, err := o.run(t, "collect", "--grace", "0s"); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("a shorter grace without a question: %v", err)
	}
	o.answers["POST /v1/blobs/collect"] = adminapi.BlobWork{}
	if _, err := o.run(t, "collect", "--grace", "0s", "--yes"); err != nil || string(o.sent["POST /v1/blobs/collect"]) != `{"grace_seconds":0}` {
		t.Errorf("sent %s, %v", o.sent["POST /v1/blobs/collect"], err)
	}
}

// TestBlobVerify: damage is an exit code of its own.
func TestBlobVerify(t *testing.T) {
	o := newOffice(t)
	o.answers["GET /v1/blobs"] = adminapi.Blobs{Partitions: []adminapi.BlobPartition{{Partition: 1}, {Partition: 2}}}
	o.answers["POST /v1/blobs/verify"] = adminapi.BlobVerified{Packs: 2, Bodies: 7, Bytes: 100}
	if out, err := o.run(t, "verify"); err != nil || !strings.Contains(out, "4 packs with 14 bodies") || !strings.Contains(out, "as it should be") {
		t.Errorf("%s %v", out, err)
	}
	o.answers["POST /v1/blobs/verify"] = adminapi.BlobVerified{Packs: 1, Problems: []string{"pack 9 is not there"}}
	out, err := o.run(t, "verify", "--rate", "1MiB")
	if exit := (exitError{}); !errors.As(err, &exit) || exit.code != 2 || !strings.Contains(out, "pack 9 is not there") {
		t.Errorf("%s %v", out, err)
	}
	var asked adminapi.BlobVerify
	if err := json.Unmarshal(o.sent["POST /v1/blobs/verify"], &asked); err != nil || asked.Partition != 2 || asked.Rate != 1<<20 {
		t.Errorf("asked %+v, %v", asked, err)
	}
}

// TestBlobKeys: an export is a new file that nobody else reads, and goes back as it was.
func TestBlobKeys(t *testing.T) {
	o := newOffice(t)
	o.answers["GET /v1/blobs/secrets"] = adminapi.BlobSecrets{Text: "a line\n"}
	path := filepath.Join(t.TempDir(), "keys")
	if _, err := o.run(t, "key", "export", "--out", path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := o.run(t, "key", "export", "--out", path); err == nil {
		t.Error("an export took the place of another")
	}
	if _, err := o.run(t, "key", "import", path); err != nil || string(o.sent["POST /v1/blobs/secrets"]) != `{"text":"a line\n"}` {
		t.Errorf("sent %s, %v", o.sent["POST /v1/blobs/secrets"], err)
	}
}

// TestBlobStatus: a person sees the store that is down, a program the same figures.
func TestBlobStatus(t *testing.T) {
	o := newOffice(t)
	b := adminapi.Blobs{Setting: setting.Default(), Nodes: []adminapi.BlobNode{
		{Node: "n1", Answers: true, Up: true, Staged: 3 << 20, StagingBound: 1 << 30},
		{Node: "n2", Answers: true, LastError: "connection refused"}, {Node: "n3"}},
		Partitions: []adminapi.BlobPartition{{Partition: 1, Leader: "n1", Mode: "packed", Packs: 2, Rate: 2048, Doing: "packing"}, {Partition: 2}}}
	o.answers["GET /v1/blobs"] = b
	if out, err := o.run(t, "status"); err != nil || !strings.Contains(out, "embedded") {
		t.Errorf("%s %v", out, err)
	}
	b.Setting.URL = "s3://mail"
	o.answers["GET /v1/blobs"] = b
	out, err := o.run(t, "status")
	for _, want := range []string{"Bodies go to s3://mail", "3.0MiB", "DOWN", "does not answer", "connection refused", "packing, 2.0KiB/s", "NONE"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s %v", want, out, err)
		}
	}
	o.answers["GET /v1/blobs/stats"] = adminapi.BlobStats{Packs: 2, Packed: 500, Seconds: time.Hour.Seconds(),
		Requests: map[string]uint64{"put": 2}, RequestsPer1000: map[string]float64{"put": 4}, Cost: adminapi.BlobCost{Total: 1.5, Currency: "EUR"}}
	if out, err := o.run(t, "stats"); err != nil || !strings.Contains(out, "2 put (4.00 for 1,000 bodies)") || !strings.Contains(out, "1.50 EUR") {
		t.Errorf("%s %v", out, err)
	}
	if out, err := o.run(t, "stats", "--format", "json"); err != nil || !strings.Contains(out, `"requests_per_1000"`) {
		t.Errorf("%s %v", out, err)
	}
}
