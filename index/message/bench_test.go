package message

import (
	"bytes"
	"strings"
	"testing"
)

// sampleHeader is the top of an ordinary message that came over two hops.
const sampleHeader = "Return-Path: <alice@example.org>\r\n" +
	"Received: from mx.example.org (mx.example.org [192.0.2.1]) by rookery.example with ESMTPS\r\n" +
	"\tid 1234567 for <bob@example.net>; Tue, 02 Jan 2024 15:04:05 +0000\r\n" +
	"Received: from client by mx.example.org; Tue, 02 Jan 2024 15:04:04 +0000\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=k1; h=from:to:subject;\r\n" +
	"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=dGhpcyBpcyBub3QgYSBzaWduYXR1cmU=\r\n" +
	"From: Alice Example <alice@example.org>\r\n" +
	"To: \"Bob, the other\" <bob@example.net>, carol@example.net\r\n" +
	"Cc: dave@example.com (Dave)\r\n" +
	"Subject: =?utf-8?q?Caf=C3=A9_on_Tuesday?=\r\n" +
	"Date: Tue, 02 Jan 2024 16:04:03 +0100\r\n" +
	"Message-ID: <0123456789.abcdef@example.org>\r\n" +
	"In-Reply-To: <9876543210.fedcba@example.net>\r\n" +
	"MIME-Version: 1.0\r\n"

const sampleLine = "The quick brown fox jumps over the lazy dog, and does so again and again.\r\n"

func plainMessage(size int) []byte {
	head := sampleHeader + "Content-Type: text/plain; charset=utf-8\r\n\r\n"
	return []byte(head + strings.Repeat(sampleLine, max(0, size-len(head))/len(sampleLine)))
}

func multipartMessage(size int) []byte {
	return []byte(sampleHeader + "Content-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n" +
		"--outer\r\nContent-Type: multipart/alternative; boundary=\"inner\"\r\n\r\n" +
		"--inner\r\nContent-Type: text/plain\r\n\r\nhello\r\n" +
		"--inner\r\nContent-Type: text/html\r\n\r\n<p>hello</p>\r\n--inner--\r\n" +
		"--outer\r\nContent-Type: application/pdf; name=a.pdf\r\n" +
		"Content-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", size/78) + "--outer--\r\n")
}

func benchmarkParser(b *testing.B, raw []byte) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		p := NewParser(Limits{})
		for rest := raw; len(rest) > 0; {
			n := min(32<<10, len(rest))
			p.Write(rest[:n])
			rest = rest[n:]
		}
		if p.Finish().Envelope.Subject == nil {
			b.Fatal("no subject")
		}
	}
}

func BenchmarkParserPlain4K(b *testing.B)     { benchmarkParser(b, plainMessage(4<<10)) }
func BenchmarkParserPlain10M(b *testing.B)    { benchmarkParser(b, plainMessage(10<<20)) }
func BenchmarkParserMultipart4K(b *testing.B) { benchmarkParser(b, multipartMessage(4<<10)) }
func BenchmarkParserMultipart10M(b *testing.B) {
	benchmarkParser(b, multipartMessage(10<<20))
}

// BenchmarkParserDashes is the worst body: every line looks like a delimiter.
func BenchmarkParserDashes(b *testing.B) {
	raw := multipartMessage(0)
	i := bytes.LastIndex(raw, []byte("--outer--"))
	raw = append(raw[:i:i], strings.Repeat("--outex\r\n", 1<<20/9)...)
	benchmarkParser(b, raw)
}

func BenchmarkDecodeHeader(b *testing.B) {
	raw := []byte("=?utf-8?q?Caf=C3=A9_on_Tuesday?= =?utf-8?b?w6kgYW5kIG1vcmU=?= (fwd)")
	b.ReportAllocs()
	for b.Loop() {
		DecodeHeader(raw)
	}
}
