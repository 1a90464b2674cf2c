package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/index/concordance"
)

// BenchmarkSearchIndexed searches letters of 4 KiB of which one has the word, with an index. It tells what taking the
// letters in costs, too.
func BenchmarkSearchIndexed(b *testing.B) {
	for _, n := range []int{5_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { searchIndexed(b, n) })
	}
}

func searchIndexed(b *testing.B, n int) {
	st := newStage(b)
	store, x := st.indexed(64)
	for i := range n {
		st.deliverText(2, "INBOX", []byte(letter(i)))
	}
	if err := st.cluster.Flush(); err != nil {
		b.Fatal(err)
	}
	began, start := time.Now(), cpuTime(b)
	st.update(x, "INBOX")
	b.Logf("%d letters were taken in with %v of CPU in %v: %d octets", n, cpuTime(b)-start, time.Since(began), stored(b, x))
	plain := st.store
	st.store = store
	defer func() { st.store = plain }()
	for _, line := range []string{"SEARCH BODY xylophone4711", "SEARCH TEXT xylophone4711", "SEARCH HEADER X-None zebra", "SEARCH SUBJECT 4711", "SEARCH FROM nobody"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			start := cpuTime(b)
			converse(b, st, line, b.N)
			b.ReportMetric(float64(cpuTime(b)-start)/1e6/float64(b.N), "cpu-ms/op")
		})
	}
}

// stored gives the octets of an index once they are written.
func stored(b *testing.B, x *concordance.Index) uint64 {
	return x.Stats().Bytes
}
