package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/rookery-mail/rookery/blobstore/setting"
)

// Recoverer fills the cluster from the packs of a lost one.
type Recoverer interface {
	// Recover tells of its progress now and then, and how it ended.
	Recover(ctx context.Context, r Recovery, progress func(RecoveryReport)) (RecoveryReport, error)
}

// Recovery says what to recover.
type Recovery struct {
	Setting setting.Setting `json:"setting"`           // where the packs are
	Keys    string          `json:"keys,omitempty"`    // cluster keys as they were exported
	Cluster string          `json:"cluster,omitempty"` // id of the lost cluster, where packs of several are there
	Kept    bool            `json:"kept,omitempty"`    // expunged mail that was kept comes back too
	DryRun  bool            `json:"dry_run,omitempty"`
}

// RecoveryReport is how far a recovery is, or how it ended.
type RecoveryReport struct {
	Packs        int      `json:"packs"`
	PacksRead    int      `json:"packs_read"`
	PacksDamaged int      `json:"packs_damaged"`
	Groups       int      `json:"partitions"` // of the lost cluster
	GroupsDone   int      `json:"partitions_done"`
	Accounts     int      `json:"accounts"` // found so far
	AccountsDone int      `json:"accounts_done"`
	Mailboxes    int      `json:"mailboxes"`
	Messages     uint64   `json:"messages"` // found so far
	Bytes        uint64   `json:"bytes"`
	Added        uint64   `json:"added"`   // by this run
	Present      uint64   `json:"present"` // from an earlier run
	Lost         uint64   `json:"lost"`
	Faults       []string `json:"faults"`
	MoreFaults   int      `json:"more_faults,omitempty"`
	Done         bool     `json:"done"`
	Error        string   `json:"error,omitempty"` // why it ended before it was done
	Locked       []string `json:"locked"`          // accounts that were made, and have no password that anybody knows
}

// recoveryRoutes has the one route whose answer is a row of reports, each a line of JSON, of which the last
// tells the end. The recovery ends with the request.
func recoveryRoutes(mux *http.ServeMux, rec Recoverer) {
	mux.HandleFunc("POST /v1/recovery", func(w http.ResponseWriter, r *http.Request) {
		var in Recovery
		if !decode(w, r, &in) {
			return
		}
		lines := &reportWriter{w: w}
		report, err := rec.Recover(r.Context(), in, lines.progress)
		if err != nil && !lines.begun && report.Packs == 0 { // else it tells of packs that are of no use
			fail(w, err)
			return
		}
		if err != nil {
			report.Error = err.Error()
		}
		lines.progress(report)
	})
}

// reportWriter writes reports as lines.
type reportWriter struct {
	mu    sync.Mutex
	w     http.ResponseWriter // guarded by mu
	begun bool                // guarded by mu until the recovery ended
}

func (l *reportWriter) progress(r RecoveryReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.begun = true
	}
	_ = json.NewEncoder(l.w).Encode(r) // the client went away: the request's context ends the recovery
	_ = http.NewResponseController(l.w).Flush()
}

// Recover has the node recover, and calls fn with each report that comes. The last one is returned; an
// error says that it is not the end.
func (c *Client) Recover(ctx context.Context, in Recovery, fn func(RecoveryReport)) (last RecoveryReport, err error) {
	resp, err := c.send(ctx, "POST", "/v1/recovery", in)
	if err != nil {
		return last, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return last, read(resp, nil)
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var r RecoveryReport
		switch err := lines.Decode(&r); {
		case errors.Is(err, io.EOF) && last.Error != "":
			return last, errors.New(last.Error)
		case errors.Is(err, io.EOF) && last.Done:
			return last, nil
		case err != nil:
			return last, fmt.Errorf("the node broke off: %w: run it again, it goes on where it was", err)
		}
		last = r
		fn(r)
	}
}
