package node

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index"
)

// serviceIMAP is the raw stream on which a node hands an IMAP connection over after the login.
const serviceIMAP = "imap"

// openIMAP makes the IMAP server; its listeners come after.
func (n *Node) openIMAP(auth *login.Authenticator, tlsConfig *tls.Config) {
	n.imap = imapd.New(imapd.Config{
		Mail: imapd.Mailstore(n.store), Auth: imapd.Logins(auth), TLS: tlsConfig, Fresh: n.freshMail, Proxy: n.handOver,
		Version: n.opts.Version, Logger: n.log, Metrics: imapMetrics{n.counters},
		Limits: imapd.Limits{Connections: n.cfg.IMAP.MaxConnections, ConnectionsPerAddress: n.cfg.IMAP.MaxPerAddress},
	})
}

// freshMail brings the replica that an account is read from up to date.
func (n *Node) freshMail(ctx context.Context, a index.AccountID) error {
	g, err := n.locate(a)
	if err != nil {
		return err
	}
	_, err = n.router.Fresh(ctx, g)
	return err
}

// handOver opens a stream to a node that holds the account's partition and tells it who logged in
// here. Nodes that do not answer are passed over.
func (n *Node) handOver(ctx context.Context, who login.Identity) (net.Conn, error) {
	g, err := n.locate(who.Account)
	if err != nil {
		return nil, err
	}
	identity, err := json.Marshal(who)
	if err != nil {
		return nil, fmt.Errorf("encode who logged in: %w", err)
	}
	hello := append(binary.BigEndian.AppendUint16(nil, uint16(len(identity))), identity...)
	var errs []error
	for _, id := range n.book.members(g) {
		if id == n.id {
			continue
		}
		conn, err := n.calls.Open(ctx, id, serviceIMAP)
		if err == nil {
			if _, err = conn.Write(hello); err == nil {
				return conn, nil
			}
			_ = conn.Close() // the error that matters is err
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("no node with a replica of %v takes the connection: %w: %w", g, cluster.ErrUnavailable, errors.Join(errs...))
}

// serveHandedOver takes a connection over that another node has let in.
func (n *Node) serveHandedOver(_ context.Context, peer cluster.NodeID, conn net.Conn) {
	who, err := readIdentity(conn)
	if err != nil {
		n.log.Warn("could not take an IMAP connection over", "node", string(peer), "error", err)
		return
	}
	if n.serving() != nil {
		return // the client tries again
	}
	n.imap.ServeProxied(conn, who)
}

// readIdentity reads who logged in: a length of two octets and JSON.
func readIdentity(conn net.Conn) (who login.Identity, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return who, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return who, fmt.Errorf("read who logged in: %w", err)
	}
	data := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, data); err != nil {
		return who, fmt.Errorf("read who logged in: %w", err)
	}
	if err := json.Unmarshal(data, &who); err != nil {
		return who, fmt.Errorf("read who logged in: %w", err)
	}
	return who, conn.SetReadDeadline(time.Time{})
}

// imapMetrics counts for the IMAP door.
type imapMetrics struct{ c *counters }

var _ imapd.Metrics = imapMetrics{}

// Connections counts opened and closed connections.
func (m imapMetrics) Connections(k imapd.Kind, delta int) {
	m.c.connections.WithLabelValues(string(k)).Add(float64(delta))
}

// Refused counts connections beyond a limit.
func (m imapMetrics) Refused(k imapd.Kind) { m.c.imapRefused.WithLabelValues(string(k)).Inc() }

// Command counts a command by its outcome.
func (m imapMetrics) Command(name, outcome string) {
	m.c.commands.WithLabelValues(name, outcome).Inc()
}

// Login counts a login.
func (m imapMetrics) Login(ok bool) {
	outcome := "refused"
	if ok {
		outcome = "accepted"
	}
	m.c.auths.WithLabelValues("imap", outcome).Inc()
}

// Proxied counts connections that another node serves.
func (m imapMetrics) Proxied(delta int) { m.c.proxied.Add(float64(delta)) }
