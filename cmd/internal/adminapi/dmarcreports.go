package adminapi

import (
	"context"
	"net/http"
	"time"

	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

// DMARCReports are what others report about mail that shows our domains as its author's (RFC 7489).
type DMARCReports interface {
	// DMARCReports lists them, of one domain or of all, the latest days first.
	DMARCReports(ctx context.Context, domain string) ([]DMARCReport, error)
	DMARCReport(ctx context.Context, name string) (DMARCReportText, error)
	// ImportDMARCReport takes one, and gives the name under which it is kept.
	ImportDMARCReport(ctx context.Context, in DMARCReportImport) (DMARCReportName, error)
}

// DMARCReport is a report that came in.
type DMARCReport struct {
	Name         string    `json:"name"`
	Domain       string    `json:"domain"`
	Day          string    `json:"day"`
	Organization string    `json:"organization"` // as it calls itself: nothing vouches for it
	ID           string    `json:"id"`
	How          string    `json:"how"` // it came
	Received     time.Time `json:"received"`
	Messages     uint64    `json:"messages"`
	Passed       uint64    `json:"passed"`
}

// DMARCReportText is one with all that it says.
type DMARCReportText struct {
	DMARCReport
	Report dmarcreport.Report `json:"report"`
}

// DMARCReportImport is a report as it came: XML, gzip, zip, or the mail with it.
type DMARCReportImport struct {
	Data []byte `json:"data"`
}

// DMARCReportName is that of one that was imported.
type DMARCReportName struct {
	Name string `json:"name"`
}

func dmarcReportRoutes(mux *http.ServeMux, d DMARCReports) {
	mux.HandleFunc("GET /v1/dmarc-reports", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.DMARCReports(r.Context(), r.URL.Query().Get("domain")))
	})
	mux.HandleFunc("GET /v1/dmarc-reports/{name...}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(d.DMARCReport(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST /v1/dmarc-reports", func(w http.ResponseWriter, r *http.Request) {
		var in DMARCReportImport
		if decode(w, r, &in) {
			answer(w)(d.ImportDMARCReport(r.Context(), in))
		}
	})
}
