// Package nameserver answers what servers under test ask of DNS, from records in the form of a zone file. Nobody else is asked.
package nameserver

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Server has records of any names.
type Server struct {
	address string
	servers []*dns.Server
	wg      sync.WaitGroup

	mu      sync.Mutex // guards what follows
	records map[string][]dns.RR
}

// Start serves records, as Add reads them, on a UDP and TCP address; port 0 takes one that is free.
func Start(address, records string) (*Server, error) {
	s := &Server{records: map[string][]dns.RR{}}
	if err := s.Add(records); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve names: %w", err)
	}
	s.address = l.Addr().String()
	packets, err := net.ListenPacket("udp", s.address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve names: %w", err), l.Close())
	}
	handler := dns.HandlerFunc(s.answer)
	for _, one := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: l, Handler: handler}} {
		started := make(chan struct{})
		one.NotifyStartedFunc = func() { close(started) }
		s.servers = append(s.servers, one)
		s.wg.Go(func() { _ = one.ActivateAndServe() }) // ends with Close
		<-started
	}
	return s, nil
}

// Add adds records, one a line: "example.org. 60 IN MX 10 mx.example.org.".
func (s *Server) Add(records string) error {
	for line := range strings.Lines(records) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			return fmt.Errorf("read the record %q: %w", line, err)
		}
		name := strings.ToLower(rr.Header().Name)
		s.mu.Lock()
		s.records[name] = append(s.records[name], rr)
		s.mu.Unlock()
	}
	return nil
}

func (s *Server) answer(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	reply.RecursionAvailable = true
	if len(q.Question) == 1 {
		s.mu.Lock()
		list, known := s.records[strings.ToLower(q.Question[0].Name)]
		s.mu.Unlock()
		if !known {
			reply.Rcode = dns.RcodeNameError
		}
		for _, rr := range list {
			if rr.Header().Rrtype == q.Question[0].Qtype {
				reply.Answer = append(reply.Answer, rr)
			}
		}
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		reply.Truncate(dns.DefaultMsgSize)
	}
	_ = w.WriteMsg(reply) // a client that is gone asks again
}

// Address is where it is asked, HOST:PORT.
func (s *Server) Address() string { return s.address }

// Close ends it.
func (s *Server) Close() error {
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.Shutdown())
	}
	s.wg.Wait()
	return errors.Join(errs...)
}
