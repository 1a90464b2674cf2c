// Package spamd has SpamAssassin's daemon judge a message, by the command REPORT of its protocol (SPAMC/1.5, the file
// spamd/PROTOCOL of SpamAssassin): the score, what is needed of it to be spam, and the rules that fitted. It never takes the
// message as SpamAssassin would rewrite it.
package spamd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/line"
)

// Spamd asks one daemon.
type Spamd struct{ setting filter.Setting }

// New makes a Spamd by a setting that has passed Check.
func New(s filter.Setting) *Spamd { return &Spamd{s} }

// maxReply is how long a reply may be; more is an error.
const maxReply = 256 << 10

// Check has a message judged. It is over when ctx is.
func (s *Spamd) Check(ctx context.Context, m *filter.Message) (filter.Report, error) {
	conn, err := line.Dial(ctx, &s.setting)
	if err != nil {
		return filter.Report{}, err
	}
	defer conn.Close()
	octets, _ := s.setting.Portion(m.Size)
	report, err := s.ask(conn, io.NewSectionReader(m.Text, 0, octets), octets)
	if err != nil {
		return filter.Report{}, fmt.Errorf("ask spamd: %w", line.Reason(ctx, err))
	}
	return report, nil
}

func (s *Spamd) ask(conn *line.Conn, text io.Reader, octets int64) (filter.Report, error) {
	w := bufio.NewWriterSize(conn, 32<<10)
	fmt.Fprintf(w, "REPORT SPAMC/1.5\r\nContent-length: %d\r\n", octets)
	if s.setting.User != "" {
		fmt.Fprintf(w, "User: %s\r\n", s.setting.User)
	}
	_, _ = io.WriteString(w, "\r\n") // an error of w comes back from Flush
	n, err := io.Copy(w, text)
	if err == nil && n < octets {
		err = io.ErrUnexpectedEOF // of the message: it is shorter than was said
	}
	if err == nil {
		err = w.Flush()
	}
	if end, ok := conn.Conn.(interface{ CloseWrite() error }); ok && err == nil {
		err = end.CloseWrite()
	}
	// A daemon that refuses says why before it has heard all.
	report, parseErr := parse(conn)
	if parseErr == nil {
		return report, nil
	}
	var broken *net.OpError
	if errors.As(err, &broken) || err == nil {
		return report, parseErr
	}
	return report, err
}

// parse reads a reply.
func parse(r io.Reader) (filter.Report, error) {
	limited := &io.LimitedReader{R: r, N: maxReply}
	t := textproto.NewReader(bufio.NewReader(limited))
	status, err := t.ReadLine()
	if err != nil {
		return filter.Report{}, err
	}
	words := strings.Fields(status)
	if len(words) < 2 || !strings.HasPrefix(words[0], "SPAMD/") || words[1] != "0" {
		return filter.Report{}, fmt.Errorf("it says %.200q", status)
	}
	header, err := t.ReadMIMEHeader()
	if err != nil {
		return filter.Report{}, fmt.Errorf("read its header: %w", err)
	}
	report, err := verdict(header.Get("Spam"))
	if err != nil {
		return filter.Report{}, err
	}
	body, err := io.ReadAll(t.R)
	if err != nil {
		return filter.Report{}, err
	}
	if limited.N == 0 {
		return filter.Report{}, fmt.Errorf("its reply has more than %d octets", maxReply)
	}
	if text := header.Get("Content-Length"); text != "" {
		if n, err := strconv.Atoi(text); err != nil || n != len(body) {
			return filter.Report{}, fmt.Errorf("its report has %d octets where it says %.20s", len(body), text)
		}
	}
	report.Symbols = rules(string(body))
	return report, nil
}

// verdict reads "True ; 15.3 / 5.0".
func verdict(text string) (filter.Report, error) {
	word, scores, _ := strings.Cut(text, ";")
	score, required, _ := strings.Cut(scores, "/")
	var r filter.Report
	var bad error
	read := func(text string) float64 {
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			bad = fmt.Errorf("its verdict is %.80q", strings.TrimSpace(text))
		}
		return f
	}
	r.Score, r.Required = read(score), read(required)
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "true", "yes":
		r.Word = filter.Spam
	case "false", "no":
		r.Word = filter.Pass
	default:
		bad = fmt.Errorf("its verdict is %.80q", text)
	}
	return r, bad
}

// rule is a line of the table in the standard report: " 1.2 BODY_RULE  BODY: what it is". Reports of another template give no rules.
var rule = regexp.MustCompile(`(?m)^[ *]*(-?[0-9]{1,4}(?:\.[0-9]{1,4})?) +([A-Z][A-Z0-9_]{1,79})(?: +(.*?))?\r?$`)

// maxRules is how many of them are kept.
const maxRules = 500

func rules(report string) (out []filter.Symbol) {
	_, table, ok := strings.Cut(report, "\n----")
	if !ok {
		return nil
	}
	for _, m := range rule.FindAllStringSubmatch(table, maxRules) {
		if score, err := strconv.ParseFloat(m[1], 64); err == nil {
			out = append(out, filter.Symbol{Name: m[2], Score: score, Detail: m[3]})
		}
	}
	return out
}
