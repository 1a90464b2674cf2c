package e2etest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// roundcube is one user's browser in front of Roundcube, which PHP's own web server serves.
type roundcube struct {
	t       *testing.T
	dir     string
	home    string // URL
	browser *http.Client
	token   string // that Roundcube wants to see in each request
}

// newRoundcube sets Roundcube up for the doors of an account, with a database of its own, and logs in.
func newRoundcube(t *testing.T, a *account) *roundcube {
	t.Helper()
	r := &roundcube{t: t, dir: t.TempDir()}
	for _, name := range []string{"defaults.inc.php", "mimetypes.php"} {
		if err := os.MkdirAll(filepath.Join(r.dir, "config"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("/etc/roundcube", name), filepath.Join(r.dir, "config", name)); err != nil {
			t.Fatal(err)
		}
	}
	tls := func(d door) string {
		return `['ssl' => ['verify_peer' => true, 'cafile' => '` + a.site.authority + `', 'peer_name' => '` + d.host + `']]`
	}
	write(t, filepath.Join(r.dir, "config", "config.inc.php"), `<?php
$config['db_dsnw'] = 'sqlite:///`+r.dir+`/roundcube.db?mode=0600';
$config['log_dir'] = '`+r.dir+`';
$config['temp_dir'] = '`+r.dir+`';
$config['imap_host'] = 'ssl://`+a.out.imaps+`';
$config['imap_conn_options'] = `+tls(a.out)+`;
$config['smtp_host'] = 'ssl://`+a.in.submissions+`';
$config['smtp_conn_options'] = `+tls(a.in)+`;
$config['des_key'] = 'abcdefghijklmnopqrstuvwx';
$config['plugins'] = [];
$config['create_default_folders'] = true;
$config['messages_cache'] = 'db';
$config['imap_cache'] = 'db';
$config['flag_for_deletion'] = false;
$config['language'] = 'en_US';
`)
	r.serve()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.browser = &http.Client{Jar: jar, Timeout: patience}
	t.Cleanup(r.browser.CloseIdleConnections)
	r.token = r.find(r.get("login", url.Values{}), `name="_token" value="([^"]+)"`)
	page := r.post("login", url.Values{"_action": {"login"}, "_timezone": {"UTC"}, "_user": {a.address}, "_pass": {a.password}})
	r.token = r.find(page, `"request_token":"([^"]+)"`)
	return r
}

// serve starts the web server, which ends with the test.
func (r *roundcube) serve() {
	r.t.Helper()
	log := filepath.Join(r.dir, "php.log")
	file, err := os.Create(log)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("php", "-S", "127.0.0.1:0", "-t", "/var/lib/roundcube")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "ROUNDCUBE_CONFIG_DIR=" + filepath.Join(r.dir, "config")}
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait() // its status tells of the signal
		file.Close()
		if r.t.Failed() {
			errors, _ := os.ReadFile(filepath.Join(r.dir, "errors.log"))
			text, _ := os.ReadFile(log)
			r.t.Logf("the web server said:\n%s\nRoundcube said:\n%s", text, errors)
		}
	})
	started := regexp.MustCompile(`\((http://127\.0\.0\.1:\d+)\) started`)
	eventually(r.t, func() error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if found := started.FindSubmatch(text); found != nil {
			r.home = string(found[1]) + "/"
			return nil
		}
		return fmt.Errorf("the web server does not start: %s", text)
	})
}

// get opens a page of a task.
func (r *roundcube) get(task string, query url.Values) string {
	r.t.Helper()
	query.Set("_task", task)
	request, err := http.NewRequest(http.MethodGet, r.home+"?"+query.Encode(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(request)
}

// post sends a form to a task.
func (r *roundcube) post(task string, form url.Values) string {
	r.t.Helper()
	form.Set("_task", task)
	form.Set("_token", r.token)
	request, err := http.NewRequest(http.MethodPost, r.home+"?_task="+task, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.do(request)
}

func (r *roundcube) do(request *http.Request) string {
	r.t.Helper()
	request.Header.Set("X-Roundcube-Request", r.token)
	response, err := r.browser.Do(request.WithContext(within(r.t)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %s: %s\n%s", request.Method, request.URL, response.Status, text)
	}
	return string(text)
}

// find gives what a pattern's group matches on a page.
func (r *roundcube) find(page, pattern string) string {
	r.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(page)
	if found == nil {
		r.t.Fatalf("there is no %s in:\n%s", pattern, page)
	}
	return found[1]
}

// ask asks something as the scripts of the page do and gives the calls that Roundcube answers with. An
// error message to the user fails the story.
func (r *roundcube) ask(task, action string, form url.Values) string {
	r.t.Helper()
	form.Set("_action", action)
	form.Set("_remote", "1")
	var text string
	switch action {
	case "list", "search":
		text = r.get(task, form)
	default:
		text = r.post(task, form)
	}
	var answer struct{ Exec string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		r.t.Fatalf("%s: %v in %s", action, err, text)
	}
	if strings.Contains(answer.Exec, `,"error"`) {
		r.t.Fatalf("%s: %s", action, answer.Exec)
	}
	return answer.Exec
}

// row is a message in a list. Where several mailboxes are listed, the UID is as in "7-INBOX".
var row = regexp.MustCompile(`add_message_row\("?([^",]+)"?,\{"subject":"([^"]*)"`)

// rows gives the UIDs of listed messages by subject.
func rows(calls string) map[string]string {
	uids := map[string]string{}
	for _, found := range row.FindAllStringSubmatch(calls, -1) {
		uids[found[2]] = found[1]
	}
	return uids
}
