package trigram_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search"
	"github.com/rookery-mail/rookery/index/search/trigram"
)

// BenchmarkBuild takes letters of 4 KiB into segments.
func BenchmarkBuild(b *testing.B) {
	var letters [64]access.Octets
	var messages [64]*access.Message
	for n := range letters {
		var text strings.Builder
		fmt.Fprintf(&text, "Received: from mx.example.org (mx.example.org [192.0.2.1])\r\n\tby mail.example.com with ESMTPS id %d\r\n"+
			"Message-ID: <%d@example.org>\r\nFrom: Ann Example <ann@example.org>\r\nSubject: the minutes of meeting %d\r\n\r\n", n, n, n)
		for i := 0; text.Len() < 4096; i++ {
			fmt.Fprintf(&text, "Line %d of letter %d, with some words %x that differ.\r\n", i, n, uint64(i*n+1)*0x9e3779b97f4a7c15)
		}
		letters[n] = access.Octets(text.String())
		messages[n] = parse(b, index.UID(n+1), letters[n])
	}
	builder, r := trigram.NewBuilder(), &search.Reader{}
	octets := 0
	finish := func() {
		if _, err := builder.Finish(func(_ trigram.Gram, postings []byte) error { octets += 8 + len(postings); return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := builder.Add(r, messages[n%64], letters[n%64]); err != nil {
			b.Fatal(err)
		}
		if n++; n%trigram.MaxMessages == 0 {
			finish()
		}
	}
	finish()
	b.ReportMetric(float64(octets)/float64(n), "index-B/op")
}
