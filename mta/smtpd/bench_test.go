package smtpd

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDeliver sends messages of 4 KiB over 20 connections of the loopback to a store that
// forgets them. cpu-us/op is the processor time of a message, that of the client with it.
func BenchmarkDeliver(b *testing.B) {
	const connections = 20
	line := strings.Repeat("x", 76) + "\r\n"
	message := "From: carol@example.com\r\nTo: bob@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n" +
		"Date: Sun, 1 Mar 2026 12:00:00 +0000\r\n\r\n" + strings.Repeat(line, 50)
	addr := listen(b, newServer(&fakeStore{drop: true}, nil), MX)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(5 * time.Minute))
			r := bufio.NewReader(nc)
			say := func(s string, replies int, want string) bool {
				if _, err := nc.Write([]byte(s)); err != nil {
					b.Error(err)
					return false
				}
				var got []byte
				for replies > 0 {
					if got, err = r.ReadSlice('\n'); err != nil {
						b.Error(err)
						return false
					}
					if got[3] == ' ' {
						replies--
					}
				}
				if string(got[:3]) != want {
					b.Errorf("got %s", got)
				}
				return string(got[:3]) == want
			}
			if !say("EHLO x\r\n", 2, "250") {
				return
			}
			for left.Add(-1) >= 0 {
				if !say("MAIL FROM:<carol@example.com> SIZE=4096\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n", 3, "354") ||
					!say(message+".\r\n", 1, "250") {
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
