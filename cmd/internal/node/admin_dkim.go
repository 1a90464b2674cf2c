package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/keychain"
	"github.com/rookery-mail/rookery/mta/zone"
)

var _ adminapi.DKIM = (*Node)(nil)

// DKIMKeys implements adminapi.DKIM. DNS is asked anew.
func (n *Node) DKIMKeys(ctx context.Context, domain string) ([]adminapi.DKIMKey, error) {
	records, err := n.dkimOf(domain)
	if err != nil {
		return nil, err
	}
	r, err := n.freshResolver()
	if err != nil {
		return nil, err
	}
	keys := keysOf(records)
	out := make([]adminapi.DKIMKey, len(keys))
	ctx, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(20)
	for i, k := range keys {
		work.Go(func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, keyPatience)
			defer cancel()
			out[i], err = showKey(k, keysSeen(ctx, r, []*directorypb.DkimKey{k}, func(keychain.State) bool { return true })[k.Selector])
			return err
		})
	}
	return out, work.Wait()
}

// dkimOf reads the keys of a domain of ours, or of all.
func (n *Node) dkimOf(domain string) (records []*directorypb.MailRecord, err error) {
	err = n.view(func(v directory.View) error {
		if domain == "" {
			return v.EachMailRecord(directory.MailDkimKey, "", func(r *directorypb.MailRecord) error {
				records = append(records, r)
				return nil
			})
		}
		d, err := v.Domain(domain)
		if err == nil {
			records, err = dkimRecords(v, d.Name)
		}
		return err
	})
	return records, err
}

// How long DNS is waited for to say something of one key, and of all.
const (
	keyPatience  = 3 * time.Second
	keysPatience = 20 * time.Second
)

func showKey(k *directorypb.DkimKey, seen keychain.Seen) (adminapi.DKIMKey, error) {
	key, err := dkim.NewKey(k.Domain, k.Selector, k.PrivateKey)
	if err != nil {
		return adminapi.DKIMKey{}, err
	}
	out := adminapi.DKIMKey{Domain: k.Domain, Selector: k.Selector, Algorithm: k.Algorithm, State: string(keychain.StateOf(k, time.Now())),
		Created: time.UnixMilli(k.Created).UTC(), DNS: seen.String(), Name: key.Host(), Record: key.Record()}
	if k.SignsFrom != 0 {
		out.SignsFrom = time.UnixMilli(k.SignsFrom).UTC()
	}
	if k.SignsUntil != 0 {
		out.SignsUntil = time.UnixMilli(k.SignsUntil).UTC()
	}
	return out, nil
}

// zoneKeys are the keys that a domain is to publish.
func (n *Node) zoneKeys(domain string) (out []zone.Key, err error) {
	records, err := n.dkimOf(domain)
	if err != nil {
		return nil, err
	}
	for _, k := range keysOf(records) {
		key, err := dkim.NewKey(k.Domain, k.Selector, k.PrivateKey)
		if err != nil {
			return nil, err
		}
		if s := keychain.StateOf(k, time.Now()); s != keychain.Removable {
			out = append(out, zone.Key{Name: key.Host(), Text: key.Record(), State: string(s), Signs: s == keychain.Signing})
		}
	}
	return out, nil
}

// AddDKIMKey implements adminapi.DKIM.
func (n *Node) AddDKIMKey(ctx context.Context, in adminapi.NewDKIMKey) (adminapi.DKIMKey, error) {
	domain, records, err := n.toChange(in.Domain)
	if err != nil {
		return adminapi.DKIMKey{}, err
	}
	kind, private := in.Algorithm, []byte(nil)
	if in.PrivateKey != "" {
		if private, err = dkim.ReadPEM([]byte(in.PrivateKey)); err != nil {
			return adminapi.DKIMKey{}, fmt.Errorf("%w: %w", directory.ErrInvalid, err)
		}
		k, err := dkim.NewKey(domain, "", private)
		if err != nil || kind != "" && kind != k.Kind() {
			return adminapi.DKIMKey{}, fmt.Errorf("%w: the key is not of kind %s", directory.ErrInvalid, kind)
		}
		kind = k.Kind()
	}
	if kind == "" {
		kind = dkim.RSA
	}
	selector := in.Selector
	if selector == "" {
		selector = keychain.Selector(keysOf(records), kind, time.Now())
	}
	if _, err := address.ParseDomain(selector + "." + domain); err != nil {
		return adminapi.DKIMKey{}, fmt.Errorf("%w: selector %q: %w", directory.ErrInvalid, selector, err)
	}
	k, err := newDkimKey(domain, selector, kind, private)
	if err != nil {
		return adminapi.DKIMKey{}, fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	err = n.putMail(ctx, directory.MailChange{Record: dkimRecord(k), Expected: new(uint64)})
	if errors.Is(err, directory.ErrConflict) {
		return adminapi.DKIMKey{}, fmt.Errorf("%w: %s has a key %s already", directory.ErrExists, domain, selector)
	}
	if err != nil {
		return adminapi.DKIMKey{}, err
	}
	return showKey(k, keychain.Unknown)
}

// toChange reads what a change of the keys of a domain is planned on.
func (n *Node) toChange(text string) (domain string, records []*directorypb.MailRecord, err error) {
	if n.level() < command.PutMail.Level() {
		return "", nil, fmt.Errorf("%w: keys are kept once every node of the cluster runs this version", directory.ErrConflict)
	}
	err = n.view(func(v directory.View) error {
		d, err := v.Domain(text)
		if err == nil {
			domain = d.Name
			records, err = dkimRecords(v, domain)
		}
		return err
	})
	return domain, records, err
}

// changeDKIM plans a change of the keys of a domain and carries it out.
func (n *Node) changeDKIM(ctx context.Context, text string, plan func([]*directorypb.DkimKey) (keychain.Change, error)) error {
	domain, records, err := n.toChange(text)
	if err != nil {
		return err
	}
	c, err := plan(keysOf(records))
	if err != nil {
		return fmt.Errorf("%w: %w", directory.ErrConflict, err)
	}
	return n.changeKeys(ctx, domain, records, c)
}

// RotateDKIMKeys implements adminapi.DKIM.
func (n *Node) RotateDKIMKeys(ctx context.Context, domain string) ([]adminapi.DKIMKey, error) {
	_, before, err := n.toChange(domain)
	if err != nil {
		return nil, err
	}
	err = n.changeDKIM(ctx, domain, func([]*directorypb.DkimKey) (keychain.Change, error) {
		return keychain.Change{Make: []string{dkim.RSA, dkim.Ed25519}}, nil
	})
	if err != nil {
		return nil, err
	}
	after, err := n.dkimOf(domain)
	if err != nil {
		return nil, err
	}
	out := []adminapi.DKIMKey{}
	for _, r := range after {
		if slices.ContainsFunc(before, func(b *directorypb.MailRecord) bool { return b.Name == r.Name }) {
			continue
		}
		k, err := showKey(r.GetDkimKey(), keychain.Unknown)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// ActivateDKIMKey implements adminapi.DKIM.
func (n *Node) ActivateDKIMKey(ctx context.Context, domain, selector string) error {
	return n.changeDKIM(ctx, domain, func(keys []*directorypb.DkimKey) (keychain.Change, error) {
		return keychain.Activate(keys, selector, time.Now())
	})
}

// RetireDKIMKey implements adminapi.DKIM.
func (n *Node) RetireDKIMKey(ctx context.Context, domain, selector string) error {
	return n.changeDKIM(ctx, domain, func(keys []*directorypb.DkimKey) (keychain.Change, error) {
		return keychain.Retire(keys, selector, time.Now())
	})
}

// RemoveDKIMKey implements adminapi.DKIM.
func (n *Node) RemoveDKIMKey(ctx context.Context, domain, selector string, force bool) error {
	return n.changeDKIM(ctx, domain, func(keys []*directorypb.DkimKey) (keychain.Change, error) {
		return keychain.Remove(keys, selector, force, time.Now())
	})
}

// ExportDKIMKey implements adminapi.DKIM.
func (n *Node) ExportDKIMKey(_ context.Context, domain, selector string) (adminapi.DKIMSecret, error) {
	records, err := n.dkimOf(domain)
	if err != nil {
		return adminapi.DKIMSecret{}, err
	}
	for _, k := range keysOf(records) {
		if domain != "" && k.Selector == selector {
			return adminapi.DKIMSecret{PrivateKey: string(dkim.PEM(k.PrivateKey))}, nil
		}
	}
	return adminapi.DKIMSecret{}, fmt.Errorf("%w: %s has no key %s: see `rookery dkim list`", directory.ErrNotFound, domain, selector)
}
