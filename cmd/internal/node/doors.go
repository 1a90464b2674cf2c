package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearer"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/spool"
)

// openDoors opens SMTP and IMAP as soon as the directory has caught up. That takes a moment after a
// restart. A node that has just joined, or that is alone, waits for it in the background: the admin
// API already answers.
func (n *Node) openDoors(ctx context.Context) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop("the mail doors", func(ctx context.Context) error {
		cancel()
		<-done
		return n.closeDoors(ctx)
	})
	moment, end := context.WithTimeout(ctx, directoryPatience)
	defer end()
	if n.awaitDirectory(moment) == nil {
		defer close(done)
		return n.serveMail(life)
	}
	n.log.Info("waiting for the directory to catch up")
	go func() {
		defer close(done)
		if err := n.awaitDirectory(life); err != nil {
			return
		}
		if err := n.serveMail(life); err != nil && life.Err() == nil {
			n.log.Error("the mail doors could not be opened", "error", err)
		}
	}()
	return nil
}

// directoryPatience is how long the start waits for the directory before it goes on without it.
const directoryPatience = 10 * time.Second

// awaitDirectory waits until the directory is here and has caught up.
func (n *Node) awaitDirectory(ctx context.Context) error {
	changed, stop := n.directory.Watch()
	defer stop()
	tick := time.NewTicker(catchUpPause)
	defer tick.Stop()
	for {
		if _, err := n.fresh(cluster.DirectoryGroup); err == nil {
			if _, _, err := n.membersAndMap(); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-tick.C:
		}
	}
}

// serveMail opens all listeners and serves on them.
func (n *Node) serveMail(life context.Context) error {
	certificate, err := openDoorCertificate(n.cfg, n.authority, time.Now(), n.log)
	if err != nil {
		return err
	}
	n.certificate.Store(certificate)
	authorities, err := openUserAuthorities(n.cfg.TLS.UserAuthorities, time.Now(), n.log)
	if err != nil {
		return err
	}
	source := directorySource{n}
	watch := n.newNetworkGuard()
	auth, err := login.New(login.Config{Directory: source, Logger: n.log, Guard: watch, GuardKey: n.guardKey(), Authorities: authorities.get,
		Tokens: bearer.New(bearer.Config{Logger: n.log})})
	if err != nil {
		return err
	}
	n.telling.Go(func() { watch.tellNews(life) })
	if n.cfg.Inbound.Enabled {
		porters := n.openPorters(n.resolver, n.counters.porters())
		n.telling.Go(func() { porters.run(life) })
	}
	n.counters.logins(auth.Stats)
	n.counters.bans(n.bansMade, n.bans)
	proxies, xclient := n.cfg.Inbound.Proxies()
	members := newRecipients(smtpd.Members(source), n.directoryNow)
	n.smtp = smtpd.New(smtpd.Config{
		Hostname: n.cfg.SMTP.Hostname, Directory: confirmed{returning{members, n.view, time.Now}, life, n, new(singleflight.Group)}, Store: letterStore{smtpd.Mailstore(n.store), n.tlsReports}, Queue: n.queueDoor(), Told: n.told,
		Checks: n.checks(life), Spool: spool.Config{Dir: n.layout.spool()}, Proxies: proxies, XCLIENT: xclient,
		Auth: smtpd.Logins(auth), TLS: certificate.config(), Authorities: authorities.get, Logger: n.log, Metrics: n.counters,
		Limits: smtpd.Limits{Connections: n.cfg.SMTP.MaxConnections, ConnectionsPerAddress: n.cfg.SMTP.MaxPerAddress,
			ConnectionsPerAccount: n.cfg.SMTP.MaxPerAccount},
	})
	n.openIMAP(auth, certificate.config(), authorities)
	n.openManageSieve(auth, certificate.config(), authorities)
	n.https = n.newHTTPS()
	web, err := n.webCertificate(certificate)
	if err != nil {
		return err
	}
	n.keepTexts(life)
	for _, door := range []struct {
		field     string
		addresses []string
		serve     func(net.Listener) error
	}{
		{"smtp.mx", n.cfg.SMTP.MX, func(l net.Listener) error { return n.smtp.Serve(l, smtpd.MX) }},
		{"smtp.submission", n.cfg.SMTP.Submission, func(l net.Listener) error { return n.smtp.Serve(l, smtpd.Submission) }},
		{"smtp.submissions", n.cfg.SMTP.Submissions, func(l net.Listener) error { return n.smtp.Serve(l, smtpd.Submissions) }},
		{"smtp.lmtp", n.cfg.SMTP.LMTP, func(l net.Listener) error { return n.smtp.Serve(l, smtpd.LMTP) }},
		{"imap.listen", n.cfg.IMAP.Listen, func(l net.Listener) error { return n.imap.Serve(l, imapd.IMAP) }},
		{"imap.tls_listen", n.cfg.IMAP.TLSListen, func(l net.Listener) error { return n.imap.Serve(l, imapd.IMAPS) }},
		{"managesieve.listen", n.cfg.ManageSieve.Listen, n.sieve.Serve},
		{"https.listen", n.cfg.HTTPS.Listen, func(l net.Listener) error { return n.https.Serve(tlsListener(l, web)) }},
	} {
		for _, address := range door.addresses {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return fmt.Errorf("%s: %w", door.field, err)
			}
			n.servers.Go(func() {
				if err := door.serve(l); err != nil {
					n.log.Error("a mail door closed", "door", door.field, "error", err)
				}
			})
		}
	}
	if err := n.openRemoteAdmin(certificate); err != nil {
		return err
	}
	n.mu.Lock()
	n.doors = true
	n.mu.Unlock()
	n.log.Info("mail is served", "smtp", n.cfg.SMTP.MX, "imap", n.cfg.IMAP.TLSListen)
	return nil
}

// closeDoors lets sessions finish and ends them.
func (n *Node) closeDoors(ctx context.Context) error {
	n.mu.Lock()
	n.doors = false
	n.mu.Unlock()
	var errs []error
	if p := n.porters.Load(); p != nil {
		p.Close() // nobody is made to wait any more
	}
	if n.smtp != nil {
		errs = append(errs, n.smtp.Shutdown(ctx))
	}
	if n.imap != nil {
		errs = append(errs, n.imap.Shutdown(ctx))
	}
	if n.sieve != nil {
		errs = append(errs, n.sieve.Shutdown(ctx))
	}
	if n.https != nil {
		errs = append(errs, n.https.Shutdown(ctx))
	}
	if n.remoteAdmin != nil {
		errs = append(errs, n.remoteAdmin.Shutdown(ctx))
	}
	n.telling.Wait()
	return errors.Join(errs...)
}

// openRemoteAdmin serves the admin API over TLS where it is configured.
func (n *Node) openRemoteAdmin(certificate *doorCertificate) error {
	if n.cfg.Admin.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", n.cfg.Admin.Listen)
	if err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	n.remoteAdmin = n.serveHTTP(tlsListener(l, certificate), adminapi.Remote(n.adminConfig()))
	return nil
}

// authority gives the cluster's CA, out of the directory.
func (n *Node) authority() (ca *certs.CA, err error) {
	err = n.view(func(v directory.View) error {
		made, err := v.Cluster()
		if err != nil {
			return err
		}
		ca, err = certs.ParseCA(made.CACert, made.CAKey)
		return err
	})
	return ca, err
}

// directorySource is the node's copy of the directory as a login reads it.
type directorySource struct{ n *Node }

// Snapshot is the directory of this moment; empty while there is none here.
func (d directorySource) Snapshot() kv.Snapshot {
	return d.n.state.Group(cluster.DirectoryGroup).Snapshot()
}
