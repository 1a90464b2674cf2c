package login

import (
	"net"
	"net/netip"
)

// PeerOf gives the address of a client and what of it counts as one peer: an IPv4 address or an IPv6
// /64. Both are zero for what is no TCP.
func PeerOf(nc net.Conn) (netip.Addr, netip.Prefix) {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return addr, netip.Prefix{}
	}
	return addr, prefix
}
