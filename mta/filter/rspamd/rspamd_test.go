package rspamd

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is of the form of rspamd 3's.
const answer = `{"is_skipped":false,"score":8.5,"required_score":15.0,"action":"rewrite subject","subject":"*** Tea",
"thresholds":{"reject":15.0,"add header":6.0,"rewrite subject":8.0,"greylist":null},
"symbols":{"TEST_B":{"name":"TEST_B","score":9.0,"metric_score":9.0,"description":"it is b","options":["one","two"]},"TEST_A":{"name":"TEST_A","score":-0.5,"description":"it is a"}},
"messages":{},"message-id":"x@example.org","milter":{"add_headers":{"X-Spamd-Bar":{"value":"++","order":0},"X-Plain":"yes","X-Twice":[{"value":"1"},"2"]},
"remove_headers":{"X-Spam":0,"X-Some":[1,3,-1]}}}`

func TestParse(t *testing.T) {
	r, err := parse([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	want := filter.Report{Word: filter.Spam, Score: 8.5, Required: 6, Detail: "rewrite subject",
		Symbols: []filter.Symbol{{Name: "TEST_A", Score: -0.5, Detail: "it is a"}, {Name: "TEST_B", Score: 9, Detail: "one, two"}},
		Edits: filter.Edits{Changes: []filter.Change{
			{Verb: filter.Set, Name: "Subject", Value: "*** Tea", Index: 1},
			{Verb: filter.Remove, Name: "X-Some", Index: 3}, {Verb: filter.Remove, Name: "X-Some", Index: 1}, {Verb: filter.Remove, Name: "X-Some", Index: -1},
			{Verb: filter.Remove, Name: "X-Spam"},
			{Verb: filter.Add, Name: "X-Plain", Value: "yes"}, {Verb: filter.Insert, Name: "X-Spamd-Bar", Value: "++"},
			{Verb: filter.Add, Name: "X-Twice", Value: "1"}, {Verb: filter.Add, Name: "X-Twice", Value: "2"}}}}
	if got, want := fmt.Sprintf("%+v", r), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestActions(t *testing.T) {
	for action, want := range map[string]filter.Word{"no action": filter.Pass, "greylist": filter.Suspicious, "add header": filter.Spam, "soft reject": filter.Defer,
		"reject": filter.Refuse, "quarantine": filter.Quarantine, "discard": filter.Discard} {
		r, err := parse(fmt.Appendf(nil, `{"action":%q,"score":16,"required_score":15,"messages":{"smtp_message":"not\nso"}}`, action))
		if err != nil || r.Word != want {
			t.Errorf("%s is %v, %v", action, r.Word, err)
		}
		if r.Reply != nil && r.Reply.Text != "not so" || (r.Reply != nil) != (want == filter.Refuse || want == filter.Defer) || r.Looks != (want == filter.Refuse) {
			t.Errorf("%s replies with %v", action, r.Reply)
		}
	}
	r, err := parse([]byte(`{"action":"reject","score":0,"required_score":15,"messages":[]}`))
	if err != nil || r.Looks || r.Reply != nil {
		t.Errorf("a module that insists: %+v, %v", r, err)
	}
	for _, text := range []string{``, `{}`, `[]`, `{"action":"dance"}`, `{"action":7}`, `{"action":"no action","milter":{"add_headers":{"X":{}}}}`,
		`{"action":"no action","milter":{"remove_headers":{"X":"all"}}}`, `{"action":"no action","milter":{"remove_headers":{"X":[` + strings.Repeat("1,", 300) + `1]}}}`} {
		if r, err := parse([]byte(text)); err == nil {
			t.Errorf("%.60s is %+v", text, r)
		}
	}
}

// worker is an rspamd that writes down what it is asked.
func worker(t *testing.T, heard *http.Request, body *string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*heard, *body = *r, string(p)
		if r.Header.Get("Password") != "secret" {
			http.Error(w, `{"error":"Unauthorized"}`, http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `{"action":"no action","score":0.5,"required_score":15}`)
	})
}

func TestCheck(t *testing.T) {
	var heard http.Request
	var body string
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(worker(t, &heard, &body))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	s := filtertest.Setting(t, filter.Rspamd, "unix:"+path)
	if _, err := New(s).Check(t.Context(), filtertest.Message(filtertest.Letter)); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("without the password: %v", err)
	}
	s.Password = "secret"
	m := filtertest.Message(filtertest.Letter)
	m.Client.Hello = "out\r\nPassword: x"
	m.Envelope.UTF8, m.Envelope.From = true, "ådа@example.org"
	r, err := New(s).Check(t.Context(), m)
	if err != nil || r.Word != filter.Pass || r.Score != 0.5 {
		t.Errorf("got %+v, %v", r, err)
	}
	for name, want := range map[string]string{"From": "<ådа@example.org>", "Rcpt": "<bob@example.net>,<cid@example.net>", "Ip": "192.0.2.7", "Helo": "outPassword: x",
		"Hostname": "out.example.org", "Queue-Id": "M1", "Mta-Name": "mx.example.net", "Tls-Version": "TLSv1.3", "User": "", "Password": "secret"} {
		if got := strings.Join(heard.Header.Values(name), ","); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if want := strings.ReplaceAll(filtertest.Letter, "\n", "\r\n"); body != want || heard.URL.Path != "/checkv2" {
		t.Errorf("%s of %q", heard.URL.Path, body)
	}
}

func TestRepliesThatAreOurs(t *testing.T) {
	in := reply{Messages: []byte(`{"smtp_message":"` + strings.Repeat("x", 500) + `"}`)}
	if r := in.said(550, mta.NotAuthorized); r != nil {
		t.Errorf("a long text is %v", r)
	}
}

func TestTrouble(t *testing.T) {
	filtertest.Trouble(t, filter.Rspamd, func(s filter.Setting) filtertest.Checker { return New(s) },
		[]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"action\":\"no action\","))
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(answer))
	f.Add([]byte(`{"action":"reject","messages":[],"milter":{"add_headers":{"X":[{"value":"a","order":-1}]}}}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := parse(p)
		if err == nil && (r.Word == "" || len(r.Changes) > maxEdits) {
			t.Errorf("%q is %+v", p, r)
		}
	})
}
