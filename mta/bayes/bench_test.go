package bayes_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rookery-mail/rookery/mta/bayes"
)

// letter20K is a message of 20 KiB with a text and the same as HTML.
func letter20K() []byte {
	rnd := rand.New(rand.NewSource(1))
	var text, html strings.Builder
	for text.Len() < 8<<10 {
		word := fmt.Sprintf("word%c%c%c ", 'a'+rnd.Intn(26), 'a'+rnd.Intn(26), 'a'+rnd.Intn(4))
		text.WriteString(word)
		html.WriteString("<td>" + word + "</td>")
		if rnd.Intn(9) == 0 {
			text.WriteString("\r\n")
			html.WriteString("<p class=\"x\">\r\n<a href=\"https://www.example.net/" + word + "\">")
		}
	}
	head := "Return-Path: <bob@example.net>\r\nReceived: from mx.example.net ([192.0.2.1])\r\n\tby mx1.example.org with ESMTPS id x;\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\n" +
		"From: Bob <bob@example.net>\r\nTo: Ada <ada@example.org>\r\nSubject: Re: minutes of the meeting\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
		"Message-ID: <1@example.net>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n"
	m := head + "--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.String() + "\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html.String()
	return []byte(m[:20<<10-10] + "\r\n--x--\r\n")
}

// letter4K is a message of 4 KiB of text, as people write them.
func letter4K() []byte {
	rnd := rand.New(rand.NewSource(2))
	var text strings.Builder
	for text.Len() < 4<<10 {
		text.WriteString(strings.Repeat(string(rune('a'+rnd.Intn(26))), 1+rnd.Intn(4)) + fmt.Sprintf("%c%c%c ", 'a'+rnd.Intn(26), 'a'+rnd.Intn(26), 'a'+rnd.Intn(4)))
		if rnd.Intn(12) == 0 {
			text.WriteString("\r\n")
		}
	}
	head, _, _ := strings.Cut(string(letter20K()), "Content-Type")
	return []byte((head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.String())[:4<<10])
}

// large is a model of n tokens, and those of a message.
func large(n int, t *bayes.Tokens) *bayes.Model {
	counts := map[uint64]bayes.Count{}
	for i := range n {
		counts[xxhash.Sum64String(fmt.Sprint(i))] = bayes.Count{Spam: uint32(i % 7), Ham: uint32(i%5) + 1}
	}
	for i := range t.Len() {
		counts[t.ID(i)] = bayes.Count{Spam: uint32(i % 50), Ham: uint32(i % 31)}
	}
	return model(1000, 1000, counts)
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMessage4K and BenchmarkMessage20K are the CPU time of all that is done for a message and one recipient.
func BenchmarkMessage4K(b *testing.B) { benchmarkMessage(b, letter4K()) }

func BenchmarkMessage20K(b *testing.B) { benchmarkMessage(b, letter20K()) }

func benchmarkMessage(b *testing.B, octets []byte) {
	tokens := bayes.Tokenize(octets)
	account, cluster := large(20_000, tokens), large(500_000, tokens)
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"whole", func() { bayes.Classify(account, cluster, bayes.Tokenize(octets), 50) }},
		{"tokens", func() { bayes.Tokenize(octets) }},
		{"opinion", func() { bayes.Classify(account, cluster, tokens, 50) }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			var took []time.Duration // the undisturbed ones tell what it costs where other work goes on
			start := cpuTime(b)
			for b.Loop() {
				at := time.Now()
				part.do()
				took = append(took, time.Since(at))
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/100]), "p1-ns/op")
		})
	}
}
