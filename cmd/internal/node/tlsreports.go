package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/reporter"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// The times of reports about TLS.
const (
	countsEvery = time.Hour // a node's counts are brought to the directory
	tidyEvery   = time.Hour
	wishesAge   = 10 * time.Second // for which what the directory says is used
)

// tlsReports are the reports about TLS: those that this cluster makes, where it sends mail to other domains, and those
// that come in.
type tlsReports struct {
	n         *Node
	box       *reportbox.Box
	collector *reporter.Collector // these two nil where mail to other domains is off
	sender    *reporter.Sender
	sessions  *prometheus.CounterVec

	mu     sync.Mutex // guards what follows
	read   time.Time
	wanted bool
	others []string // addresses for reports that are not tls-reports@ or dmarc-reports@
}

// openTLSReports makes the reports ready.
func (n *Node) openTLSReports() error {
	r := &tlsReports{n: n, sessions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_outbound_tls_sessions_total",
		Help: "Sessions with hosts of other domains, by the policy that held and what came of TLS."}, []string{"policy", "result"})}
	n.counters.registry.MustRegister(r.sessions)
	r.box = reportbox.New(reportbox.Config{Directory: mailRecords{n}, Open: r.open, Texts: n.askTexts, Logger: n.log})
	n.tlsReports = r
	if !n.cfg.Outbound.Enabled {
		return nil
	}
	r.collector = reporter.NewCollector(reporter.CollectorConfig{Node: string(n.id), Directory: mailRecords{n}, Resolver: n.resolver,
		Wanted: r.wants, Every: countsEvery, Logger: n.log})
	r.sender = reporter.NewSender(r.senderConfig(n.resolver))
	return nil
}

func (r *tlsReports) senderConfig(resolver *dns.Resolver) reporter.SenderConfig {
	return reporter.SenderConfig{Directory: mailRecords{r.n}, Resolver: resolver, Identity: r.n.reportIdentity, Wanted: r.wants,
		Mail: func(ctx context.Context, to string, message []byte) error {
			return r.n.post(ctx, post{To: to, Message: message})
		},
		Web: reporter.NewWeb(nil, nil).Post, Logger: r.n.log}
}

// observe counts a session with a host of another domain.
func (r *tlsReports) observe(e tlsrpt.Event) {
	result := string(e.Failure)
	if result == "" {
		result = "successful"
	}
	r.sessions.WithLabelValues(string(e.Type), result).Inc()
	if r.collector != nil {
		r.collector.Observe(e)
	}
}

// run does what every node does.
func (r *tlsReports) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { r.box.Run(ctx) })
	if r.collector != nil {
		work.Go(func() { r.collector.Run(ctx) })
	}
	work.Wait()
}

// lead does what the node that leads the directory does.
func (r *tlsReports) lead(ctx context.Context) {
	var work sync.WaitGroup
	if r.sender != nil {
		work.Go(func() { r.sender.Run(ctx) })
	}
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if err := errors.Join(r.box.Tidy(ctx), r.n.tidyDomainMail(ctx), r.n.tidyInboundRules(ctx)); err != nil && ctx.Err() == nil {
				r.n.log.Warn("old reports, or what domains that went had set, could not be forgotten", "error", err)
			}
		}
	}
	work.Wait()
}

// wants reports whether domains are told.
func (r *tlsReports) wants() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	return r.wanted
}

// takes reports whether an address of ours is one for reports.
func (r *tlsReports) takes(address string) bool {
	if local, _, ok := strings.Cut(address, "@"); ok && (strings.EqualFold(local, directory.TLSReports) || strings.EqualFold(local, directory.DMARCReports)) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	for _, other := range r.others {
		if strings.EqualFold(other, address) {
			return true
		}
	}
	return false
}

// refresh reads the directory where what was read is old. mu is held.
func (r *tlsReports) refresh() {
	now := time.Now()
	if now.Sub(r.read) < wishesAge {
		return
	}
	r.read = now
	level := r.n.level()
	err := r.n.view(func(v directory.View) error {
		s, err := v.Settings()
		if err != nil {
			return err
		}
		r.wanted, r.others = s.TLSReports && level >= command.LevelThird, nil
		return v.EachMailRecord(directory.MailDomainMail, "", func(m *directorypb.MailRecord) error {
			for _, to := range []string{m.GetDomainMail().GetTlsReportsTo(), m.GetDomainMail().GetDmarcReportsTo()} {
				if to != "" {
					r.others = append(r.others, to)
				}
			}
			return nil
		})
	})
	if err != nil {
		r.wanted = false // what is met before the directory is here is not counted
	}
}

// maxLetter is how many octets of a letter are read: reports of both kinds have the same bound.
const maxLetter = 2 * tlsrpt.MaxPacked

// open reads a letter, wherever its mailbox is.
func (r *tlsReports) open(ctx context.Context, l reportbox.Letter) ([]byte, error) {
	box, err := r.n.shared.Account(l.Account).Open(ctx, index.Inbox)
	if err != nil {
		return nil, err
	}
	body, err := box.OpenBody(ctx, l.UID)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(body, 0, min(body.Size(), maxLetter)))
	return data, errors.Join(err, body.Close())
}

// askTexts asks DNS, rarely: there is nothing to keep.
func (n *Node) askTexts(ctx context.Context, name string) ([]string, error) {
	r, err := n.freshResolver()
	if err != nil {
		return nil, err
	}
	texts, _, err := r.Texts(ctx, name)
	return texts, err
}

// reportIdentity is the domain of ours that this node's name is in, or the first.
func (n *Node) reportIdentity() (who reporter.Identity, err error) {
	host := "." + strings.ToLower(n.cfg.SMTP.Hostname)
	err = n.view(func(v directory.View) error {
		domains, err := v.Domains()
		for _, d := range domains {
			if strings.HasSuffix(host, "."+d.Name) && (len(d.Name) > len(who.Domain) || !strings.HasSuffix(host, "."+who.Domain)) || who.Domain == "" {
				who.Domain = d.Name
			}
		}
		return err
	})
	if err == nil && who.Domain == "" {
		err = fmt.Errorf("reports about TLS come from a domain of ours, and there is none: %w", directory.ErrNoDomain)
	}
	who.Contact = directory.Postmaster + "@" + who.Domain
	return who, err
}
