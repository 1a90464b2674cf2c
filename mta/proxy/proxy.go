// Package proxy reads what a proxy says of the client that it stands for: the header of the PROXY protocol, versions 1
// and 2 (HAProxy's proxy-protocol.txt), and the arguments of XCLIENT (Postfix's XCLIENT_README). Octets in, addresses out:
// who is believed, and what becomes of the rest of the connection, is for the door.
package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// MaxHeader is the longest header that is read, in octets. Version 2 could say 64 KiB; what proxies add beyond the
	// addresses has some hundred.
	MaxHeader = 4096
	// maxText is the longest header of version 1, with its CR LF.
	maxText = 107
)

var (
	// ErrShort says that the header goes on.
	ErrShort = errors.New("the header of the PROXY protocol is not complete")
	// ErrMalformed says that octets are no header; the connection is to be closed.
	ErrMalformed = errors.New("not a header of the PROXY protocol")
)

// Header is what a proxy says of a connection.
type Header struct {
	// Known is false where the proxy speaks for itself, as a check of health does, or does not know: the addresses of
	// the connection hold then.
	Known               bool
	Source, Destination netip.AddrPort
}

// signature begins a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Parse reads the header at the beginning of data and tells how many octets it has. Errors are ErrShort and ErrMalformed.
func Parse(data []byte) (h Header, n int, err error) {
	switch {
	case len(data) == 0:
		return Header{}, 0, ErrShort
	case data[0] == 'P':
		return parseText(data)
	case data[0] == '\r':
		return parseBinary(data)
	}
	return Header{}, 0, fmt.Errorf("it begins with octet %#x: %w", data[0], ErrMalformed)
}

// parseText reads version 1: PROXY TCP4 source destination port port CR LF.
func parseText(data []byte) (Header, int, error) {
	if start := []byte("PROXY "); !bytes.HasPrefix(data, start[:min(len(data), len(start))]) {
		return Header{}, 0, fmt.Errorf("it begins with %.6q: %w", data, ErrMalformed)
	}
	end := bytes.Index(data[:min(len(data), maxText)], []byte("\r\n"))
	switch {
	case end < 0 && len(data) < maxText:
		return Header{}, 0, ErrShort
	case end < 0:
		return Header{}, 0, fmt.Errorf("no end within %d octets: %w", maxText, ErrMalformed)
	}
	words := strings.Split(string(data[:end]), " ")
	if words[1] == "UNKNOWN" {
		return Header{}, end + 2, nil // whatever follows it
	}
	if len(words) != 6 {
		return Header{}, 0, fmt.Errorf("%d words: %w", len(words), ErrMalformed)
	}
	source, err := textAddress(words[1], words[2], words[4])
	if err != nil {
		return Header{}, 0, err
	}
	destination, err := textAddress(words[1], words[3], words[5])
	if err != nil {
		return Header{}, 0, err
	}
	return Header{Known: true, Source: source, Destination: destination}, end + 2, nil
}

func textAddress(family, host, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || !(family == "TCP4" && addr.Is4() || family == "TCP6" && addr.Is6()) {
		return netip.AddrPort{}, fmt.Errorf("%.64q is no address of %.8q: %w", host, family, ErrMalformed)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(number, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("%.8q is no port: %w", port, ErrMalformed)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// The octets of version 2, section 2.2.
const (
	fixed     = 16
	local     = 0x20
	proxied   = 0x21
	overTCP4  = 0x11
	overTCP6  = 0x21
	checksum  = 0x03 // type of the record that has a CRC-32C of the header
	overUnix  = 0x31
	unspecced = 0x00
)

func parseBinary(data []byte) (Header, int, error) {
	if !strings.HasPrefix(signature, string(data[:min(len(data), len(signature))])) {
		return Header{}, 0, fmt.Errorf("another signature: %w", ErrMalformed)
	}
	if len(data) < fixed {
		return Header{}, 0, ErrShort
	}
	command, family := data[12], data[13]
	end := fixed + int(binary.BigEndian.Uint16(data[14:]))
	switch {
	case command != local && command != proxied:
		return Header{}, 0, fmt.Errorf("version and command %#x: %w", command, ErrMalformed)
	case end > MaxHeader:
		return Header{}, 0, fmt.Errorf("%d octets, %d are read: %w", end, MaxHeader, ErrMalformed)
	case len(data) < end:
		return Header{}, 0, ErrShort
	case command == local:
		return Header{}, end, nil // the rest is to be passed over
	}
	size, known := map[byte]int{overTCP4: 12, overTCP6: 36, overUnix: 216, unspecced: 0}[family]
	if !known || end-fixed < size {
		return Header{}, 0, fmt.Errorf("family %#x in %d octets: %w", family, end-fixed, ErrMalformed)
	}
	if err := checkRecords(data[:end], fixed+size); err != nil && family != unspecced {
		return Header{}, 0, err
	}
	h := Header{Known: true}
	switch body := data[fixed:]; family {
	case overTCP4:
		h.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[4:8])), binary.BigEndian.Uint16(body[10:]))
	case overTCP6:
		h.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])).Unmap(), binary.BigEndian.Uint16(body[32:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[16:32])).Unmap(), binary.BigEndian.Uint16(body[34:]))
	default:
		h = Header{}
	}
	return h, end, nil
}

// checkRecords walks what follows the addresses: type, length (2) and octets each. A checksum has to be right.
func checkRecords(header []byte, at int) error {
	for at < len(header) {
		if len(header)-at < 3 {
			return fmt.Errorf("a record is cut: %w", ErrMalformed)
		}
		size := int(binary.BigEndian.Uint16(header[at+1:]))
		value := at + 3
		if len(header)-value < size {
			return fmt.Errorf("a record of %d octets is cut: %w", size, ErrMalformed)
		}
		if header[at] == checksum {
			if size != 4 {
				return fmt.Errorf("a checksum of %d octets: %w", size, ErrMalformed)
			}
			blank := bytes.Clone(header)
			copy(blank[value:], []byte{0, 0, 0, 0})
			if crc32.Checksum(blank, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(header[value:]) {
				return fmt.Errorf("the checksum is wrong: %w", ErrMalformed)
			}
		}
		at = value + size
	}
	return nil
}

// Missing is how many octets there are still to be read at least where data is the beginning of a header: what belongs to the
// connection behind it is not touched then. It is 1 or more, also where data is no header.
func Missing(data []byte) int {
	switch {
	case len(data) < len(shortest):
		return len(shortest) - len(data)
	case data[0] != '\r':
		return 1
	case len(data) < fixed:
		return fixed - len(data)
	}
	return max(1, fixed+int(binary.BigEndian.Uint16(data[14:]))-len(data))
}

// shortest is the shortest header that there is.
const shortest = "PROXY UNKNOWN\r\n"
