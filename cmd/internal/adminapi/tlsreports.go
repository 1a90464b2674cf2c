package adminapi

import (
	"context"
	"net/http"
	"time"

	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// TLSReports are what others report about TLS with the hosts of our domains (RFC 8460).
type TLSReports interface {
	// TLSReports lists them, of one domain or of all, the latest days first.
	TLSReports(ctx context.Context, domain string) ([]TLSReport, error)
	TLSReport(ctx context.Context, name string) (TLSReportText, error)
	// ImportTLSReport takes one, and gives the names under which it is kept.
	ImportTLSReport(ctx context.Context, in TLSReportImport) (TLSReportNames, error)
}

// TLSReport is a report that came in.
type TLSReport struct {
	Name         string    `json:"name"`
	Domain       string    `json:"domain"`
	Day          string    `json:"day"`
	Organization string    `json:"organization"` // as it calls itself: nothing vouches for it
	ID           string    `json:"id"`
	How          string    `json:"how"` // it came
	Received     time.Time `json:"received"`
	Good         uint64    `json:"successful_sessions"`
	Bad          uint64    `json:"failed_sessions"`
}

// TLSReportText is one with all that it says.
type TLSReportText struct {
	TLSReport
	Report tlsrpt.Report `json:"report"`
}

// TLSReportImport is a report as it came: JSON, gzip, or the mail with it.
type TLSReportImport struct {
	Data []byte `json:"data"`
}

// TLSReportNames are those of one that was imported: a name for each domain of ours that it is about.
type TLSReportNames struct {
	Names []string `json:"names"`
}

func tlsReportRoutes(mux *http.ServeMux, t TLSReports) {
	mux.HandleFunc("GET /v1/tls-reports", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(t.TLSReports(r.Context(), r.URL.Query().Get("domain")))
	})
	mux.HandleFunc("GET /v1/tls-reports/{name...}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(t.TLSReport(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST /v1/tls-reports", func(w http.ResponseWriter, r *http.Request) {
		var in TLSReportImport
		if decode(w, r, &in) {
			answer(w)(t.ImportTLSReport(r.Context(), in))
		}
	})
}
