package floor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
)

// pool is how many different messages are committed over and over: made before, so that making them costs
// the replica nothing while it is measured.
const pool = 512

// Handler answers a bench: GET /leads is 200 on the leader and 503 elsewhere; POST /commit with messages, size
// (octets) and concurrency commits so many messages of that size.
func (r *Replica) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /leads", func(w http.ResponseWriter, _ *http.Request) {
		if !r.Leads() {
			http.Error(w, "another replica leads, or none", http.StatusServiceUnavailable)
		}
	})
	entries := map[int][][]byte{} // by size; requests come one after the other
	mux.HandleFunc("POST /commit", func(w http.ResponseWriter, req *http.Request) {
		var numbers [3]int
		for i, name := range []string{"messages", "size", "concurrency"} {
			n, err := strconv.Atoi(req.FormValue(name))
			if err != nil || n < 1 {
				http.Error(w, name+" must be a positive number", http.StatusBadRequest)
				return
			}
			numbers[i] = n
		}
		size := numbers[1]
		if entries[size] == nil {
			entries[size] = messages(size)
		}
		if err := r.Commit(req.Context(), entries[size], numbers[0], numbers[2]); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

func messages(size int) [][]byte {
	g := corpus.NewGenerator("floor", corpus.Fixed(size))
	out := make([][]byte, pool)
	for i := range out {
		out[i] = g.Append(nil, i)
	}
	return out
}

// Serve runs a replica and answers on the control address until ctx ends.
func Serve(ctx context.Context, cfg Config, control string) (err error) {
	r, err := Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l, err := net.Listen("tcp", control)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", control, err)
	}
	s := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // Serve tells that it ended
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answer on %s: %w", control, err)
	}
	return nil
}
