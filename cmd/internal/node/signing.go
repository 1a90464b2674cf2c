package node

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/batv"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/keychain"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/signing"
)

// newSigning makes the link of an attempt that signs.
func (n *Node) newSigning(next signing.Sender, r *dns.Resolver) *signing.Link {
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rookery_outbound_signed_total", Help: "Messages to other domains by what was put in front of them."}, []string{"outcome"})
	n.counters.registry.MustRegister(count)
	return signing.New(signing.Config{Next: next, Count: func(o signing.Outcome) { count.WithLabelValues(string(o)).Inc() }, Server: n.cfg.SMTP.Hostname, Logger: n.log, Lookup: textsOf(r),
		Book: &signingBook{n: n, rules: moment[struct{}, signing.Rules]{most: 1}, keys: moment[string, []dkim.Key]{most: maxSigners}}})
}

// textsOf looks up the texts of a name; one that has none is no error.
func textsOf(r *dns.Resolver) func(ctx context.Context, name string) ([]string, error) {
	return func(ctx context.Context, name string) ([]string, error) {
		texts, _, err := r.Texts(ctx, name)
		if errors.Is(err, dns.ErrNoName) || errors.Is(err, dns.ErrNoRecord) {
			return nil, nil
		}
		return texts, err
	}
}

// maxSigners bounds the domains whose keys are remembered, some 10 KiB each.
const maxSigners = 1000

// signingBook is the directory as the link that signs reads it.
type signingBook struct {
	n     *Node
	rules moment[struct{}, signing.Rules]
	keys  moment[string, []dkim.Key]
}

var _ signing.Book = (*signingBook)(nil)

func (b *signingBook) Rules() (signing.Rules, error) {
	return remembered(b.n, &b.rules, struct{}{}, func(v directory.View) (signing.Rules, error) {
		s, err := v.Settings()
		return signing.Rules{DKIM: s.DKIM, ARC: s.ARC, SRS: s.SRS, Tags: s.BounceTags != "off"}, err
	})
}

func (b *signingBook) Ours(domain string) (ours bool, err error) {
	err = b.n.view(func(v directory.View) (err error) {
		ours, err = oursIn(v, domain)
		return err
	})
	return ours, err
}

// oursIn reports whether a domain is one of the directory.
func oursIn(v directory.View, domain string) (bool, error) {
	_, err := v.Domain(domain)
	if errors.Is(err, directory.ErrNoDomain) || errors.Is(err, directory.ErrInvalid) {
		return false, nil
	}
	return err == nil, err
}

func (b *signingBook) Signers(domain string) ([]dkim.Key, error) {
	return remembered(b.n, &b.keys, domain, func(v directory.View) ([]dkim.Key, error) {
		records, err := dkimRecords(v, domain)
		if err != nil {
			return nil, err
		}
		return keychain.Signers(keysOf(records), time.Now())
	})
}

// MaySign lets the account that has what is nobody's sign for all of ours: the system writes under it.
func (b *signingBook) MaySign(account index.AccountID, address string) (may bool, err error) {
	err = b.n.view(func(v directory.View) error {
		if may, err = v.Owns(account, address); err != nil || may {
			return err
		}
		caretaker, err := v.Caretaker()
		may = err == nil && caretaker.ID == account
		return err
	})
	return may, err
}

func (b *signingBook) Home(account index.AccountID) (domain string, err error) {
	err = b.n.view(func(v directory.View) error {
		a, err := v.Account(account)
		if err != nil {
			return err
		}
		parsed, err := address.Parse(a.Address)
		domain = parsed.Domain
		return err
	})
	if errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrNoUser) {
		return "", nil // it is gone: nobody's domain sends the message on
	}
	return domain, err
}

func (b *signingBook) RewriteKey() ([]byte, bool, error) {
	s, ok, err := b.inUse(keychain.SRS)
	return s.GetKey(), ok, err
}

func (b *signingBook) TagKey() (batv.Key, bool, error) {
	s, ok, err := b.inUse(keychain.BATV)
	return batv.Key{Number: s.Number, Secret: s.GetKey()}, ok, err
}

func (b *signingBook) inUse(use string) (s keychain.Secret, ok bool, err error) {
	err = b.n.view(func(v directory.View) error {
		secrets, err := secretsOf(v, use)
		s, ok = keychain.InUse(secrets, time.Now())
		return err
	})
	return s, ok, err
}

// secretsOf reads the secrets of a use.
func secretsOf(v directory.View, use string) (list []keychain.Secret, err error) {
	err = v.EachMailRecord(directory.MailSecret, use+"/", func(r *directorypb.MailRecord) error {
		if s, ok := keychain.SecretOf(use, r); ok {
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// dkimRecords reads the keys of a domain.
func dkimRecords(v directory.View, domain string) (list []*directorypb.MailRecord, err error) {
	err = v.EachMailRecord(directory.MailDkimKey, domain+"/", func(r *directorypb.MailRecord) error {
		list = append(list, r)
		return nil
	})
	return list, err
}

func keysOf(records []*directorypb.MailRecord) (keys []*directorypb.DkimKey) {
	for _, r := range records {
		keys = append(keys, r.GetDkimKey())
	}
	return keys
}

var _ signing.Sender = (*remote.Client)(nil)
