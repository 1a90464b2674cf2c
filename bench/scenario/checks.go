package scenario

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/deploy/nameserver"
)

// checked is a site that asks a name server of ours about the mail it gets.
type checked interface {
	operated
	// Resolver is who it asks, HOST:PORT of this machine.
	Resolver() string
}

// runChecks delivers signed mail to a cluster that checks it and, in turns, to one that does not.
func runChecks(ctx context.Context, s site.Site, o Options) (r Result, err error) {
	r = Result{Scenario: "checks", Site: s.Name()}
	if o.Twin == nil {
		return r, fmt.Errorf("checks: %w: it needs a second cluster", site.ErrUnsupported)
	}
	twin, err := o.Twin(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, twin.Close()) }()
	with, ok := twin.(checked)
	if !ok {
		return r, fmt.Errorf("checks: %w: it takes no commands, or asks other name servers", site.ErrUnsupported)
	}
	d := delivery{name: "checks", sizes: corpus.Fixed(4 << 10), messages: 6_000, connections: 20}
	record, err := d.sign(o)
	if err != nil {
		return r, err
	}
	names, err := nameserver.Start(with.Resolver(), zoneOfLoad(record))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, names.Close()) }()
	// The load comes from this host alone: nothing of it is let pass unseen, and none of it counts as too much.
	for _, setting := range [][]string{{"unchecked_networks", ""}, {"trusted_networks", "127.0.0.0/8"}} {
		if _, err := with.Command(ctx, append([]string{"setting", "set"}, setting...)...); err != nil {
			return r, err
		}
	}
	if err := teach(ctx, with, o, d.sizes); err != nil {
		return r, err
	}
	both, err := d.pair(ctx, [2]site.Site{s, with}, 0, o)
	if err != nil {
		return r, err
	}
	return tellChecks(ctx, r, both, with)
}

// lessons is how many messages of each kind are learnt before: more than a classifier asks for before it has a say.
const lessons = 60

// taught is how long it may take until what was learnt is known everywhere.
const taught = 15 * time.Second

// teach has the site learn that mail like the load's is wanted, and something else is not.
func teach(ctx context.Context, with checked, o Options, sizes corpus.Sizes) error {
	dir, err := os.MkdirTemp("", "rookery-lessons-")
	if err != nil {
		return fmt.Errorf("make lessons: %w", err)
	}
	defer os.RemoveAll(dir)
	accounts, err := with.Accounts(ctx, 1)
	if err != nil {
		return err
	}
	wanted := corpus.NewGenerator(o.Run+"lesson", sizes)
	for kind, text := range map[string]func(n int) []byte{
		"--ham": func(n int) []byte { return wanted.Append(nil, n) },
		"--spam": func(n int) []byte {
			return fmt.Appendf(nil, "From: win%d@casino.example\r\nSubject: you won %d\r\nMessage-ID: <%d.%s@casino.example>\r\n\r\nClaim jackpot %d: pills, watches, loans!\r\n", n, n, n, o.Run, n)
		},
	} {
		args := []string{"spam", "train", kind, accounts[0].Address}
		for n := range lessons {
			name := filepath.Join(dir, fmt.Sprintf("%s%d", kind[2:], n))
			if err := os.WriteFile(name, text(n), 0o600); err != nil {
				return fmt.Errorf("make lessons: %w", err)
			}
			args = append(args, name)
		}
		if _, err := with.Command(ctx, args...); err != nil {
			return err
		}
	}
	return sleep(ctx, taught)
}

// tellChecks puts the figures of both together, and looks whether the mail was checked at all.
func tellChecks(ctx context.Context, r Result, both [2]Result, with site.Site) (Result, error) {
	rate, err := rateOfPair(both)
	if err != nil {
		return r, err
	}
	r.judge("rate-%", rate, true)
	for i, prefix := range []string{"unchecked-", ""} {
		for _, f := range both[i].Figures {
			f.Turns, f.Judged, f.Unit = nil, false, prefix+f.Unit
			r.Figures = append(r.Figures, f)
		}
		r.Broken = append(r.Broken, both[i].Broken...)
	}
	missing, err := unchecked(ctx, with)
	if err != nil {
		return r, err
	}
	if len(missing) > 0 {
		r.Broken = append(r.Broken, "a delivered message does not say "+strings.Join(missing, ", "))
	}
	r.note("two clusters in turns; each message with one RSA-2048 signature, SPF of five lookups, DMARC, and a classifier that has learnt; answers of DNS are kept by the server")
	return r, nil
}

// unchecked lists the results that a delivered message should have and has not.
func unchecked(ctx context.Context, s site.Site) (missing []string, err error) {
	accounts, err := s.Accounts(ctx, 1)
	if err != nil {
		return nil, err
	}
	c, err := load.DialIMAP(ctx, s.IMAP()[0], accounts[0])
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Count("INBOX"); err != nil {
		return nil, err
	}
	if _, err := c.Do("SELECT INBOX"); err != nil {
		return nil, err
	}
	var header []byte
	if _, err := c.Each("FETCH * (BODY.PEEK[HEADER])", func(_ string, literals [][]byte) { header = bytes.Join(literals, nil) }); err != nil {
		return nil, err
	}
	for _, result := range []string{"spf=pass", "dkim=pass", "dmarc=pass", "bayes"} {
		if !bytes.Contains(header, []byte(result)) {
			missing = append(missing, result)
		}
	}
	return missing, nil
}

// sign makes the messages of d, and returns the key record that they are signed for.
func (d *delivery) sign(o Options) (record string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("write the key: %w", err)
	}
	options := &dkim.SignOptions{Domain: "bench.example", Selector: "load", Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed}
	src, err := o.source(d.sizes)
	if err != nil {
		return "", err
	}
	n := o.messages(d.messages)
	d.source, err = corpus.NewSigned(src, n+warmUp(n), func(message []byte) ([]byte, error) {
		var out bytes.Buffer
		err := dkim.Sign(&out, bytes.NewReader(message), options)
		return out.Bytes(), err
	})
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public), err
}

// zoneOfLoad is what DNS says of the load's domain and of the host that it comes from. The client's own network is in the last
// of the terms of SPF.
func zoneOfLoad(key string) string {
	return fmt.Sprintf(`1.0.0.127.in-addr.arpa. 3600 IN PTR bench.example.
bench.example. 3600 IN A 127.0.0.1
bench.example. 3600 IN MX 10 bench.example.
bench.example. 3600 IN TXT "v=spf1 include:one.bench.example include:two.bench.example a:far.bench.example mx:far.bench.example include:three.bench.example -all"
one.bench.example. 3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
two.bench.example. 3600 IN TXT "v=spf1 ip4:198.51.100.0/24 -all"
three.bench.example. 3600 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"
far.bench.example. 3600 IN A 203.0.113.1
far.bench.example. 3600 IN MX 10 far.bench.example.
_dmarc.bench.example. 3600 IN TXT "v=DMARC1; p=reject"
load._domainkey.bench.example. 3600 IN TXT %q %q
`, key[:200], key[200:])
}
