// Package httpd is the door for what the standards of mail have go over HTTPS: other hosts fetch the MTA-STS policies of
// our domains (RFC 8461, section 3.3), and hand in their reports about TLS (RFC 8460, section 5.4). All else is 404.
package httpd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Config says what a Server is over. All is required.
type Config struct {
	// Policy is the text of a domain's policy; empty where none is served.
	Policy func(domain string) string
	// Report takes a report about TLS. how says how it came.
	Report func(ctx context.Context, data []byte, how string) error
	Logger *slog.Logger
}

// Server serves. Its listeners bring TLS.
type Server struct {
	c    Config
	http *http.Server
}

// The bounds of a connection, and how many there may be on a listener.
const (
	headerTime  = 10 * time.Second
	requestTime = 30 * time.Second
	idleTime    = 30 * time.Second
	headerBytes = 16 << 10
	connections = 256
)

// The paths that are served.
const (
	PolicyPath = "/.well-known/mta-sts.txt" // of the host mta-sts.DOMAIN
	ReportPath = "/tls-reports"             // of any host
)

// New makes a Server.
func New(c Config) *Server {
	s := &Server{c: c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PolicyPath, s.policy)
	mux.HandleFunc("POST "+ReportPath, s.report)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: requestTime, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug)}
	return s
}

// Serve serves on a listener until the server is shut down.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(netutil.LimitListener(l, connections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown closes the listeners and waits for what goes on.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

func (s *Server) policy(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	text := ""
	if domain, ok := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(host, ".")), "mta-sts."); ok {
		text = s.c.Policy(domain)
	}
	if text == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=us-ascii")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, text) // who went away asks again
}

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case tlsrpt.MediaGzip, tlsrpt.MediaJSON:
	default:
		http.Error(w, "use "+tlsrpt.MediaGzip+" or "+tlsrpt.MediaJSON, http.StatusUnsupportedMediaType)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tlsrpt.MaxPacked))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "the report is too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the report did not come whole", http.StatusBadRequest)
		return
	}
	from := r.RemoteAddr
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	err = s.c.Report(r.Context(), data, "https from "+from)
	s.c.Logger.Info("a report about TLS was handed in", "from", from, "octets", len(data), "error", err)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusCreated)
	case errors.Is(err, reportbox.ErrBusy):
		w.Header().Set("Retry-After", "3600")
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	case errors.Is(err, reportbox.ErrForeign):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, tlsrpt.ErrNoReport), errors.Is(err, reportbox.ErrOld):
		http.Error(w, "no report that can be taken", http.StatusBadRequest)
	default:
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	}
}
