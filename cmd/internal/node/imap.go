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
func (n *Node) openIMAP(auth *login.Authenticator, tlsConfig *tls.Config, authorities *userAuthorities) {
	n.imap = imapd.New(imapd.Config{
		Mail: imapd.JudgedMailstore(n.store, n.spam), Auth: imapd.Logins(auth), TLS: tlsConfig, Authorities: authorities.get, Fresh: n.freshMail, Proxy: n.handOver,
		Site: imapSite{n}, Sharing: sharing{n}, Shared: imapd.JudgedMailstore(n.shared, n.spam), Version: n.opts.Version, Logger: n.log, Metrics: imapMetrics{n.counters},
		Limits: imapd.Limits{Connections: n.cfg.IMAP.MaxConnections, ConnectionsPerAddress: n.cfg.IMAP.MaxPerAddress,
			ConnectionsPerAccount: n.cfg.IMAP.MaxPerAccount, Messages: n.cfg.IMAP.MessageLimit, Saves: n.cfg.IMAP.SaveLimit},
		Hide: n.cfg.IMAP.Hide,
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
	var errs []error
	for _, id := range n.book.members(g) {
		if id == n.id {
			continue
		}
		conn, err := n.offer(ctx, id, identity)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("no node with a replica of %v takes the connection: %w: %w", g, cluster.ErrUnavailable, errors.Join(errs...))
}

// A connection is handed over with a length of two octets and the identity as JSON; the answer is one
// octet.
const (
	handOverTaken   byte = 1
	handOverRefused byte = 0
)

// handOverTimeout bounds each side's wait for the other.
const handOverTimeout = 5 * time.Second

// offer opens a stream to a node and asks it to take the connection of who logged in.
func (n *Node) offer(ctx context.Context, id cluster.NodeID, identity []byte) (_ net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	conn, err := n.calls.Open(ctx, id, serviceIMAP)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close() // the error that matters is err
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(handOverTimeout)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(identity))), identity...)); err != nil {
		return nil, fmt.Errorf("offer a connection to node %s: %w", id, err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, fmt.Errorf("offer a connection to node %s: %w", id, err)
	}
	if answer[0] != handOverTaken {
		return nil, fmt.Errorf("node %s does not take the connection: %w", id, cluster.ErrNoReplica)
	}
	return conn, conn.SetDeadline(time.Time{})
}

// serveHandedOver takes a connection over that another node has let in.
func (n *Node) serveHandedOver(_ context.Context, peer cluster.NodeID, conn net.Conn) {
	who, err := readIdentity(conn)
	if err != nil {
		n.log.Warn("could not take an IMAP connection over", "node", string(peer), "error", err)
		return
	}
	answer := handOverTaken
	if g, err := n.locate(who.Account); err != nil || n.serving() != nil || !n.holds(g) {
		answer = handOverRefused // the other node asks the next one
	}
	if _, err := conn.Write([]byte{answer}); err != nil || answer == handOverRefused {
		return
	}
	n.imap.ServeProxied(conn, who)
}

// holds reports whether mail of a partition is read here.
func (n *Node) holds(g cluster.GroupID) bool {
	_, err := n.fresh(g)
	return err == nil
}

// readIdentity reads who logged in.
func readIdentity(conn net.Conn) (who login.Identity, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(handOverTimeout)); err != nil {
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
