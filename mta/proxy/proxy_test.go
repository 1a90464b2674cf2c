package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta"
)

// v2 is a header of version 2.
func v2(command, family byte, rest string) string {
	return signature + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(rest)))) + rest
}

const (
	four = "\xc0\x00\x02\x07\xc0\x00\x02\x19\xdc\x04\x00\x19" // 192.0.2.7:56324 to 192.0.2.25:25
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19" + "\xdc\x04\x00\x19"
)

// summed is a header of version 2 with a checksum, which xor spoils.
func summed(xor byte) string {
	h := []byte(v2(proxied, overTCP4, four+"\x03\x00\x04\x00\x00\x00\x00"))
	binary.BigEndian.PutUint32(h[len(h)-4:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli)))
	h[len(h)-1] ^= xor
	return string(h)
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"PROXY TCP4 192.0.2.7 192.0.2.25 56324 25\r\n":               "192.0.2.7:56324",
		"PROXY TCP6 2001:db8::7 2001:db8::19 56324 25\r\n":           "[2001:db8::7]:56324",
		"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.25 56324 25\r\n": "192.0.2.7:56324",
		"PROXY UNKNOWN\r\n":                                      "unknown",
		"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n":                  "unknown",
		v2(proxied, overTCP4, four):                              "192.0.2.7:56324",
		v2(proxied, overTCP6, six):                               "[2001:db8::7]:56324",
		v2(proxied, overTCP4, four+"\x04\x00\x02ab\x20\x00\x00"): "192.0.2.7:56324",
		summed(0): "192.0.2.7:56324",
		v2(proxied, overUnix, strings.Repeat("x", 216)): "unknown",
		v2(proxied, unspecced, "whatever"):              "unknown",
		v2(local, 0x77, "junk"):                         "unknown",
	} {
		h, n, err := Parse([]byte(text + "EHLO x\r\n"))
		got := "unknown"
		if h.Known {
			got = h.Source.String()
		}
		if err != nil || n != len(text) || got != want {
			t.Errorf("%q: %s, %d octets, %v", text, got, n, err)
		}
		for cut := range len(text) {
			if _, _, err := Parse([]byte(text[:cut])); !errors.Is(err, ErrShort) {
				t.Errorf("%d octets of %q: %v", cut, text, err)
			}
		}
	}
}

func TestParseMalformed(t *testing.T) {
	for _, text := range []string{
		"EHLO x\r\n", "\x16\x03\x01", "PROXYTCP4 ", "PRO\r\n", "PROXY\r\n", "PROXY \r\n",
		"PROXY TCP4 192.0.2.7 192.0.2.25 56324\r\n", "PROXY TCP4 192.0.2.7 192.0.2.25 56324 25 \r\n", "PROXY TCP4  192.0.2.7 192.0.2.25 56324 25\r\n",
		"PROXY TCP4 2001:db8::7 2001:db8::19 1 25\r\n", "PROXY TCP6 192.0.2.7 192.0.2.25 1 25\r\n", "PROXY TCP6 fe80::1%eth0 fe80::2 1 25\r\n",
		"PROXY TCP4 192.0.2.07 192.0.2.25 1 25\r\n", "PROXY TCP4 192.0.2.7 192.0.2.25 01 25\r\n", "PROXY TCP4 192.0.2.7 192.0.2.25 65536 25\r\n",
		"PROXY UDP4 192.0.2.7 192.0.2.25 1 25\r\n", "PROXY TCP4 " + strings.Repeat("1", 120),
		v2(0x11, overTCP4, four), v2(0x22, overTCP4, four), v2(proxied, 0x12, four), v2(proxied, overTCP4, four[:8]), v2(proxied, overTCP6, four),
		v2(proxied, overTCP4, four+"\x04\x00"), v2(proxied, overTCP4, four+"\x04\x00\x09ab"), v2(proxied, overTCP4, four+"\x03\x00\x01a"),
		v2(proxied, overTCP4, strings.Repeat("x", MaxHeader)), summed(1),
	} {
		if h, n, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, %d octets, %v", text, h, n, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"PROXY TCP4 192.0.2.7 192.0.2.25 56324 25\r\n", "PROXY UNKNOWN\r\n", v2(proxied, overTCP4, four), v2(proxied, overTCP6, six), summed(0), v2(local, 0, "")} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		h, n, err := Parse(data)
		if !bytes.Equal(before, data) {
			t.Fatal("the octets were changed")
		}
		switch {
		case err == nil && (n < 1 || n > len(data) || n > MaxHeader || h.Known != h.Source.IsValid() || h.Known != h.Destination.IsValid()):
			t.Fatalf("%+v of %d octets", h, n)
		case errors.Is(err, ErrShort) && len(data) >= MaxHeader:
			t.Fatal("more is wanted than is read")
		case err != nil && !errors.Is(err, ErrShort) && !errors.Is(err, ErrMalformed):
			t.Fatal(err)
		}
		if err == nil { // what follows changes nothing
			if again, m, err := Parse(append(before[:n:n], "EHLO x\r\n"...)); err != nil || m != n || again != h {
				t.Fatalf("%+v, %d, %v", again, m, err)
			}
		}
	})
}

func TestParseXCLIENT(t *testing.T) {
	got, err := ParseXCLIENT("addr=192.0.2.7 NAME=mail.example.com Helo=mail+2Bx.example.com PROTO=esmtp port=4711 LOGIN=ann@example.org DESTADDR=IPV6:2001:db8::1 DESTPORT=25")
	want := Client{Addr: netip.MustParseAddr("192.0.2.7"), Port: 4711, Name: "mail.example.com", Helo: "mail+x.example.com", Proto: mta.ESMTP,
		Login: "ann@example.org", Dest: netip.MustParseAddrPort("[2001:db8::1]:25")}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = ParseXCLIENT("NAME=[UNAVAILABLE] ADDR=IPv6:2001:db8::7 HELO=[TEMPUNAVAIL]")
	if err != nil || got != (Client{Addr: netip.MustParseAddr("2001:db8::7")}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, arg := range []string{"", "ADDR", "ADDR=x", "ADDR=fe80::1%25eth0", "FOO=x", "PORT=65536", "PORT=-1", "PROTO=LMTP", "HELO=a+0Ab", "HELO=a+zz", "HELO=" + strings.Repeat("x", 256)} {
		if c, err := ParseXCLIENT(arg); !errors.Is(err, ErrArgument) {
			t.Errorf("%q: %+v, %v", arg, c, err)
		}
	}
}

func FuzzParseXCLIENT(f *testing.F) {
	f.Add("ADDR=192.0.2.7 NAME=[UNAVAILABLE] HELO=x PROTO=ESMTP LOGIN=a+40b PORT=1 DESTADDR=IPV6:::1 DESTPORT=25")
	f.Fuzz(func(t *testing.T, arg string) {
		c, err := ParseXCLIENT(arg)
		if err != nil && !errors.Is(err, ErrArgument) {
			t.Fatal(err)
		}
		if strings.ContainsAny(c.Helo+c.Login+c.Name, "\r\n\x00") {
			t.Fatalf("%+v", c)
		}
	})
}
