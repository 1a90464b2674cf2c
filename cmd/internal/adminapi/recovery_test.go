package adminapi

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/setting"
)

// TestRecovery: reports come one by one, the last tells the end; an error before the first is one of HTTP.
func TestRecovery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: Local(over(&fake{}))}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-done }()
	for _, c := range []struct {
		cluster, want string
		reports       int
	}{
		{"some", "", 2}, {"away", "no majority", 2}, {"none", "no packs there", 0}, {"sealed", "none that could be read", 1},
	} {
		var seen []RecoveryReport
		last, err := Dial(path).Recover(t.Context(), Recovery{Setting: setting.Default(), Cluster: c.cluster}, func(r RecoveryReport) { seen = append(seen, r) })
		if text := errorText(err); len(seen) != c.reports || !strings.Contains(text, c.want) || (c.want == "") != (err == nil) {
			t.Errorf("%s: %d reports, %v", c.cluster, len(seen), err)
		}
		if last.Packs != c.reports || last.Done != (err == nil) {
			t.Errorf("%s ended with %+v", c.cluster, last)
		}
	}
	// It has secrets in it, and reads what the node may read: not for the remote API.
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/recovery", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer good")
	if Remote(over(&fake{})).ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("the remote API answers %d", w.Code)
	}
}

func errorText(err error) string {
	if err == nil {
		err = errors.New("")
	}
	return err.Error()
}
