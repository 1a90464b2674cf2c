package filter_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/filter"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

const letter = "Return-Path: <ada@example.org>\r\nsubject: =?utf-8?q?L=C3=B6sung?=\r\n of it\r\nX-Spam: yes\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
	"YnV5IGNoZWFwIHdhdGNoZXM=\r\n--b\r\nContent-Type: application/zip\r\n\r\nsecret of an archive\r\n--b--\r\n"

// TestMatches: each part of a filter takes what it names and leaves the rest.
func TestMatches(t *testing.T) {
	e := &queuepb.EntryRecord{Account: 7, Sender: "Ada@example.org", Received: 5000, Held: true}
	list := []queue.Recipient{
		{Record: &queuepb.RecipientRecord{Address: "bob@example.com", Destination: "example.com", Last: &queuepb.Attempt{Code: 451, Enhanced: "4.7.1", Text: "greylisted,\ntry later"}}},
		{Record: &queuepb.RecipientRecord{Address: "eve@mail.example.net", Destination: "mail.example.net"}},
	}
	for _, c := range []struct {
		spec filter.Spec
		want bool
	}{
		{filter.Spec{}, true},
		{filter.Spec{Account: 7, Held: true, Sender: "ada@EXAMPLE.org", Since: 5000, Before: 5001}, true},
		{filter.Spec{Account: 8}, false},
		{filter.Spec{Since: 5001}, false},
		{filter.Spec{Before: 5000}, false},
		{filter.Spec{Sender: "*@example.org"}, true},
		{filter.Spec{Sender: "da@example.org"}, false},
		{filter.Spec{Sender: "a.a@example.org"}, false},
		{filter.Spec{Sender: "<>"}, false},
		{filter.Spec{Recipient: "bob@*"}, true},
		{filter.Spec{Domain: "example.net"}, false},
		{filter.Spec{Domain: "*.example.net"}, true},
		{filter.Spec{Error: "greylisted, try"}, true},
		{filter.Spec{Error: "^451 4.7.1 "}, true},
		{filter.Spec{Error: "greylisted", Domain: "mail.example.net"}, false}, // not the same recipient
		{filter.Spec{Entries: []uint64{3, 4}}, true},
		{filter.Spec{Entries: []uint64{4}}, false},
		{filter.Spec{Header: "Subject: ^Lösung of it$"}, true},
		{filter.Spec{Header: "Subject:nothing"}, false},
		{filter.Spec{Header: "Subject: Lösung", Body: "cheap +watch"}, true},
		{filter.Spec{Header: "X-Spam: no", Body: "cheap"}, false},
		{filter.Spec{Body: "YnV5"}, false},           // as it travels
		{filter.Spec{Body: "secret|Subject"}, false}, // neither header nor archive
	} {
		f, err := c.spec.Compile()
		if err != nil {
			t.Fatalf("%+v: %v", c.spec, err)
		}
		got := f.Entry(3, e) && f.Recipients(list)
		if got && f.Content() {
			if got, err = f.Octets(strings.NewReader(letter), int64(len(letter))); err != nil {
				t.Fatalf("%+v: %v", c.spec, err)
			}
		}
		if got != c.want {
			t.Errorf("%+v matches: %v", c.spec, got)
		}
	}
}

func TestNullSender(t *testing.T) {
	f, err := filter.Spec{Sender: "<>"}.Compile()
	if err != nil || !f.Entry(1, &queuepb.EntryRecord{}) {
		t.Errorf("%v", err)
	}
}

// readAt reads from what a test makes.
type readAt func(p []byte, off int64) (int, error)

func (r readAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

// TestBroken: a message that cannot be read is no message that does not match.
func TestBroken(t *testing.T) {
	for _, s := range []filter.Spec{{Header: "Subject: x"}, {Body: "x"}} {
		f, err := s.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Octets(readAt(func([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }), 10); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	// The text fails after the structure was read.
	text := strings.NewReader("A: b\r\n\r\n" + strings.Repeat("text\r\n", 20_000))
	reads := 0
	f, err := filter.Spec{Body: "nothing"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Octets(readAt(func(p []byte, off int64) (int, error) {
		if off == 8 {
			reads++
		}
		if reads > 0 {
			return 0, iotest.ErrTimeout
		}
		return text.ReadAt(p, off)
	}), text.Size())
	if !errors.Is(err, iotest.ErrTimeout) || reads == 0 {
		t.Errorf("%v after %d reads", err, reads)
	}
}

// FuzzCompile: what is no filter is refused, and what is one takes any octets.
func FuzzCompile(f *testing.F) {
	f.Add("*@example.org", "^451", "Subject: (?i)offer", "a{1,1000}", []byte(letter))
	f.Add("<>", "(", "Subject", "(((a{100}){100}){100})", []byte("\r\n"))
	f.Fuzz(func(t *testing.T, sender, fault, header, body string, octets []byte) {
		made, err := filter.Spec{Sender: sender, Error: fault, Header: header, Body: body}.Compile()
		if err != nil {
			if !errors.Is(err, filter.ErrExpression) {
				t.Errorf("error %v", err)
			}
			return
		}
		made.Entry(1, &queuepb.EntryRecord{Sender: string(octets)})
		if !made.Content() {
			return
		}
		if _, err := made.Octets(strings.NewReader(string(octets)), int64(len(octets))); err != nil {
			t.Error(err)
		}
	})
}
