package load

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Zone is a name server for what a load claims to be: a server that checks mail asks it, and nobody else.
type Zone struct {
	records map[string][]dns.RR
	servers []*dns.Server
	wg      sync.WaitGroup
}

// StartZone serves records, one a line in the form of a zone file, on a UDP and TCP address.
func StartZone(address, records string) (*Zone, error) {
	z := &Zone{records: map[string][]dns.RR{}}
	for line := range strings.Lines(records) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, fmt.Errorf("read the record %q: %w", line, err)
		}
		name := strings.ToLower(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
	}
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, fmt.Errorf("serve names: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve names: %w", err), packets.Close())
	}
	handler := dns.HandlerFunc(z.answer)
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: l, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		z.servers = append(z.servers, s)
		z.wg.Go(func() { _ = s.ActivateAndServe() }) // ends with Close
		<-started
	}
	return z, nil
}

func (z *Zone) answer(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	reply.RecursionAvailable = true
	if len(q.Question) == 1 {
		list, known := z.records[strings.ToLower(q.Question[0].Name)]
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

// Close ends it.
func (z *Zone) Close() error {
	var errs []error
	for _, s := range z.servers {
		errs = append(errs, s.Shutdown())
	}
	z.wg.Wait()
	return errors.Join(errs...)
}
