package node

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/httpd"
	"github.com/rookery-mail/rookery/mta/reportbox"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// newHTTPS makes the door for policies and reports.
func (n *Node) newHTTPS() *httpd.Server {
	return httpd.New(httpd.Config{Policy: n.servedPolicy, Report: n.tlsReports.box.Stranger, Logger: n.log})
}

// webCertificate is that of HTTPS: of its own, or that of the mail doors.
func (n *Node) webCertificate(mail *doorCertificate) (*doorCertificate, error) {
	c := n.cfg.HTTPS
	if c.Certificate == "" {
		return mail, nil
	}
	d := &doorCertificate{certPath: c.Certificate, keyPath: c.Key, log: n.log}
	if err := d.load(time.Now()); err != nil {
		return nil, fmt.Errorf("https: %w", err)
	}
	return d, nil
}

// servedPolicy is the policy of a domain; empty where it is not ours, or has none.
func (n *Node) servedPolicy(domain string) string {
	var m *directorypb.DomainMail
	err := n.view(func(v directory.View) error {
		d, err := v.Domain(domain)
		if err == nil {
			m, err = domainMail(v, d.Name)
		}
		return err
	})
	if err != nil {
		return ""
	}
	return n.policyDocument(m)
}

// letterStore has messages that come to an address for reports be read.
type letterStore struct {
	smtpd.Store
	r *tlsReports
}

func (s letterStore) NewIncoming(ctx context.Context, accounts []index.AccountID, trace []byte) smtpd.Incoming {
	return letterIncoming{s.Store.NewIncoming(ctx, accounts, trace), s.r}
}

type letterIncoming struct {
	smtpd.Incoming
	r *tlsReports
}

func (in letterIncoming) Deliver(ctx context.Context, d mailstore.Delivery) ([]mailstore.Outcome, error) {
	outcomes, err := in.Incoming.Deliver(ctx, d)
	for i, t := range d.Targets {
		if i < len(outcomes) && outcomes[i].Err == nil && outcomes[i].UID != 0 && !outcomes[i].Duplicate && t.Mailbox == "" && in.r.takes(t.Address) {
			in.r.box.Notice(reportbox.Letter{Account: t.Account, UID: outcomes[i].UID})
		}
	}
	return outcomes, err
}
