package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/proxy"
)

// isWithin reports whether an address is in one of some networks.
func isWithin(addr netip.Addr, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// readProxy reads the header that a proxy has to put in front of the connection, and no octet more: TLS may follow it. An error
// ends the connection without a word, since whoever is there does not speak SMTP.
func (c *conn) readProxy() error {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.srv.c.Limits.Proxy)); err != nil {
		return err
	}
	var data []byte
	for {
		at := len(data)
		data = append(data, make([]byte, min(proxy.Missing(data), proxy.MaxHeader))...)
		if _, err := io.ReadFull(c.nc, data[at:]); err != nil {
			return fmt.Errorf("read the header of the PROXY protocol after %d octets: %w", at, err)
		}
		h, _, err := proxy.Parse(data)
		switch {
		case errors.Is(err, proxy.ErrShort):
			continue
		case err != nil:
			return err
		case !h.Known:
			return nil // the proxy speaks for itself
		}
		c.from(h.Source, h.Destination)
		return nil
	}
}

// from makes the connection one of another client.
func (c *conn) from(remote, local netip.AddrPort) {
	c.whence, c.whither = remote, local
	c.remote = remote.Addr().Unmap().WithZone("")
	c.log = c.srv.c.Logger.With("kind", c.kind, "remote", c.remote, "proxy", c.direct)
}

// xclient answers XCLIENT: who is behind a proxy that is trusted (Postfix's XCLIENT_README). The session begins anew, with a
// greeting. A login that is named gives no rights. An error ends the connection.
func (c *conn) xclient(ctx context.Context, arg string) error {
	switch {
	case !c.mayXCLIENT():
		c.refuse(mta.Replyf(550, mta.NotAuthorized, "XCLIENT is not for you"))
		return nil
	case c.mail != nil:
		c.refuse(mta.Replyf(503, mta.BadSequence, "Not during a mail transaction"))
		return nil
	case c.login != "":
		c.refuse(mta.Replyf(503, mta.BadSequence, "Not after AUTH"))
		return nil
	}
	who, err := proxy.ParseXCLIENT(arg)
	if err != nil {
		c.refuse(mta.Replyf(501, mta.BadArgument, "%s", err))
		return nil
	}
	remote, local := c.whence, c.whither
	if who.Addr.IsValid() {
		remote = netip.AddrPortFrom(who.Addr, who.Port)
	}
	if who.Dest.Addr().IsValid() {
		local = who.Dest
	}
	c.from(remote, local)
	if who.Login != "" {
		c.log.Info("the proxy names a login, which counts for nothing here", "login", who.Login)
	}
	if r := c.srv.move(c); r != nil {
		c.reply(r)
		return errHangUp
	}
	c.helo, c.extended = "", false
	if c.session != nil {
		c.session.End()
		c.session = nil
	}
	if !c.begin(ctx) {
		return errClosed // the reply was given
	}
	if who.Helo != "" && c.greeted(ctx, who.Helo, who.Proto != mta.SMTP) == nil {
		c.helo, c.extended = who.Helo, who.Proto != mta.SMTP
	}
	c.greet()
	return nil
}

func (c *conn) mayXCLIENT() bool { return isWithin(c.direct, c.srv.c.XCLIENT) }

// move counts a connection for the client that it turned out to be of, unless that has too many.
func (s *Server) move(c *conn) *mta.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perPeer[c.peer]--; s.perPeer[c.peer] <= 0 {
		delete(s.perPeer, c.peer)
	}
	c.peer = peerOf(c.remote)
	s.perPeer[c.peer]++
	if c.peer.IsValid() && exceeds(s.perPeer[c.peer], s.c.Limits.ConnectionsPerAddress) {
		return mta.Replyf(421, mta.TempSecurity, "Too many connections from your address")
	}
	return nil
}

// peerOf is what of an address counts as one peer: an IPv4 address or an IPv6 /64; the zero Prefix for the zero Addr.
func peerOf(addr netip.Addr) netip.Prefix {
	p, err := addr.Prefix(min(addr.BitLen(), 64))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// noProxy answers a header of the PROXY protocol that comes from whoever may not send one: what follows would be taken for
// commands.
func (c *conn) noProxy() error {
	c.reply(mta.Replyf(554, mta.BadSequence, "The PROXY protocol is not for you (inbound.proxy_networks)"))
	return errHangUp
}
