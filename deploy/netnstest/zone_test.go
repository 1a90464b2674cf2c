//go:build linux

package netnstest

import (
	"crypto"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The zones: one is signed, the other is not. They are at the top, so that each domain below is a site of its own to
// Rookery, which counts connections by site.
const (
	zoneName  = "example"
	plainName = "plain"
	// broken is a domain of the signed zone with signatures that do not hold.
	broken = "broken." + zoneName
)

// zone answers for both. It signs as it is asked.
type zone struct {
	key    *dns.DNSKEY
	signer crypto.Signer

	mu      sync.Mutex // guards what follows
	records map[string][]dns.RR
	signed  map[string]*dns.RRSIG // by name and kind
	ignored map[string]bool       // names about which nothing is said
}

// newZone makes an authoritative server in its namespace.
func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{records: map[string][]dns.RR{}, signed: map[string]*dns.RRSIG{}, ignored: map[string]bool{},
		key: &dns.DNSKEY{Hdr: dns.RR_Header{Name: zoneName + ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}}
	private, err := z.key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	z.signer = private.(crypto.Signer)
	z.records[zoneName+"."] = []dns.RR{z.key}
	for _, apex := range []string{zoneName, plainName} {
		z.add(t, apex+". 5 IN SOA ns."+apex+". admin."+apex+". 1 60 60 60 5", apex+". 60 IN NS ns."+apex+".", "ns."+apex+". 60 IN A "+v4(hosts["dns"]))
	}
	var packets net.PacketConn
	address := net.JoinHostPort(v4(hosts["dns"]), "53")
	if err := within("dns", func() (err error) { packets, err = net.ListenPacket("udp", address); return err }); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: listen(t, "dns", address), Handler: z}} {
		ready, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(ready) }
		go func() { done <- s.ActivateAndServe() }()
		<-ready
		t.Cleanup(func() {
			_ = s.Shutdown()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return z
}

// add adds records, a line each.
func (z *zone) add(t *testing.T, lines ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		name := dns.CanonicalName(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
		clear(z.signed)
	}
}

// remove removes the records of a name, of one kind.
func (z *zone) remove(name string, kind uint16) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name = dns.CanonicalName(name)
	z.records[name] = slices.DeleteFunc(z.records[name], func(rr dns.RR) bool { return rr.Header().Rrtype == kind })
	clear(z.signed)
}

// ignore has nothing said about a name.
func (z *zone) ignore(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ignored[dns.CanonicalName(name)] = true
}

// ServeDNS implements dns.Handler.
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name, kind := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	if z.ignored[name] {
		return
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	apex := zoneName + "."
	if dns.IsSubDomain(plainName+".", name) {
		apex = plainName + "."
	}
	z.answer(m, apex, name, kind)
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
		if o.Do() && apex == zoneName+"." {
			m.Answer, m.Ns = z.sign(m.Answer), z.sign(m.Ns)
		}
	}
	size := dns.MinMsgSize
	if o := q.IsEdns0(); o != nil {
		size = int(o.UDPSize())
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		m.Truncate(size)
	}
	_ = w.WriteMsg(m) // who asked may have gone
}

// answer finds the records of a question, behind one CNAME at most, or says that there are none.
func (z *zone) answer(m *dns.Msg, apex, name string, kind uint16) {
	for _, rr := range z.records[name] {
		if rr.Header().Rrtype == kind || rr.Header().Rrtype == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) > 0 {
		return
	}
	m.Ns = append(m.Ns, z.first(apex, dns.TypeSOA))
	names := z.names(apex)
	exists := slices.ContainsFunc(names, func(n string) bool { return dns.IsSubDomain(name, n) })
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	if apex != zoneName+"." {
		return
	}
	proofs := []string{z.covering(names, name)}
	if !exists {
		encloser := name
		for !slices.ContainsFunc(names, func(n string) bool { return dns.IsSubDomain(encloser, n) }) {
			i, _ := dns.NextLabel(encloser, 0)
			encloser = encloser[i:]
		}
		proofs = append(proofs, z.covering(names, "*."+encloser))
	}
	slices.Sort(proofs)
	for _, owner := range slices.Compact(proofs) {
		m.Ns = append(m.Ns, z.nsec(names, owner))
	}
}

func (z *zone) first(name string, kind uint16) dns.RR {
	for _, rr := range z.records[name] {
		if rr.Header().Rrtype == kind {
			return rr
		}
	}
	panic("no record of " + name)
}

// names are those of a zone that have records, in canonical order (RFC 4034, section 6.1).
func (z *zone) names(apex string) (list []string) {
	for name, records := range z.records {
		if len(records) > 0 && dns.IsSubDomain(apex, name) {
			list = append(list, name)
		}
	}
	slices.SortFunc(list, canonically)
	return list
}

func canonically(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}

// covering is the last name that is not behind another one.
func (z *zone) covering(names []string, name string) string {
	found := names[len(names)-1]
	for _, n := range names {
		if canonically(n, name) > 0 {
			break
		}
		found = n
	}
	return found
}

// nsec says what a name has, and which one comes next.
func (z *zone) nsec(names []string, owner string) dns.RR {
	i := slices.Index(names, owner)
	rr := &dns.NSEC{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 5}, NextDomain: names[(i+1)%len(names)], TypeBitMap: []uint16{dns.TypeRRSIG, dns.TypeNSEC}}
	for _, r := range z.records[owner] {
		rr.TypeBitMap = append(rr.TypeBitMap, r.Header().Rrtype)
	}
	slices.Sort(rr.TypeBitMap)
	rr.TypeBitMap = slices.Compact(rr.TypeBitMap)
	return rr
}

// sign adds the signatures of all sets of records.
func (z *zone) sign(list []dns.RR) []dns.RR {
	sets := map[string][]dns.RR{}
	var order []string
	for _, rr := range list {
		key := fmt.Sprint(rr.Header().Name, " ", rr.Header().Rrtype)
		if sets[key] == nil {
			order = append(order, key)
		}
		sets[key] = append(sets[key], rr)
	}
	for _, key := range order {
		sig := z.signed[key]
		if sig == nil {
			h := sets[key][0].Header()
			now := time.Now()
			sig = &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl}, Algorithm: z.key.Algorithm, KeyTag: z.key.KeyTag(),
				SignerName: z.key.Hdr.Name, Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(24 * time.Hour).Unix())}
			if err := sig.Sign(z.signer, sets[key]); err != nil {
				panic(err)
			}
			if dns.IsSubDomain(broken+".", dns.CanonicalName(h.Name)) {
				sig.Signature = "AAAA" + sig.Signature[4:]
			}
			z.signed[key] = sig
		}
		list = append(list, sig)
	}
	return list
}

// startUnbound runs a validating resolver in Rookery's namespace, on 127.0.0.1 and for the peers, that knows the zones
// alone.
func startUnbound(t *testing.T, z *zone) {
	t.Helper()
	packages := tree(t, "unbound")
	p := &peer{name: "unbound", log: filepath.Join(t.TempDir(), "log")}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "unbound.conf"), fmt.Sprintf(`server:
  interface: 127.0.0.1
  interface: %s
  access-control: 10.83.0.0/24 allow
  username: ""
  chroot: ""
  pidfile: ""
  directory: %q
  use-syslog: no
  logfile: ""
  verbosity: 1
  val-log-level: 2
  module-config: "validator iterator"
  qname-minimisation: no
  aggressive-nsec: no
  trust-anchor: %q
  do-not-query-localhost: no
  cache-max-negative-ttl: 5
  cache-max-ttl: 5
stub-zone:
  name: %q
  stub-addr: %s
stub-zone:
  name: %q
  stub-addr: %s
remote-control:
  control-enable: no
`, v4(hosts["rookery"]), dir, strings.ReplaceAll(z.key.String(), "\t", " "), zoneName, v4(hosts["dns"]), plainName, v4(hosts["dns"])))
	cmd := exec.Command(filepath.Join(packages, "usr/sbin/unbound"), "-d", "-c", filepath.Join(dir, "unbound.conf"))
	libs, _ := filepath.Glob(filepath.Join(packages, "usr/lib/*-linux-gnu*")) // the pattern is a good one
	cmd.Env = []string{"LD_LIBRARY_PATH=" + strings.Join(libs, ":")}
	p.run(t, cmd)
	await(t, "unbound answers", func() error {
		q := new(dns.Msg)
		q.SetQuestion(zoneName+".", dns.TypeSOA)
		q.SetEdns0(1232, true)
		m, err := dns.Exchange(q, "127.0.0.1:53")
		if err == nil && (m.Rcode != dns.RcodeSuccess || !m.AuthenticatedData) {
			err = fmt.Errorf("%v", m)
		}
		if err != nil {
			return fmt.Errorf("%w; it says:\n%s", err, p.said())
		}
		return nil
	})
}
