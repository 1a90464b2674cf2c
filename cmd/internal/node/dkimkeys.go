package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/keychain"
)

// How often the directory's leader looks after the keys that mail is signed with: at the most, after the directory has
// changed, and at the least, for what DNS shows of them.
const (
	keysPause = 2 * time.Second
	keysEvery = 5 * time.Minute
	keysFresh = time.Minute // for which an answer of DNS is not asked for again
)

// tendKeys is leader work of the directory: domains have keys, those that DNS shows sign, and the old go.
func (n *Node) tendKeys(ctx context.Context) {
	if n.outbound == nil {
		return
	}
	changed, stop := n.directory.Watch()
	defer stop()
	var r *dns.Resolver
	var made time.Time
	for {
		if time.Since(made) >= keysFresh { // one that is asked for a key again looks again
			var err error
			if r, err = n.freshResolver(); err != nil {
				n.log.Warn("DNS cannot be asked about the keys that mail is signed with", "error", err)
				r = n.outbound.resolver
			}
			made = time.Now()
		}
		if err := n.tendKeysOnce(ctx, r); err != nil && ctx.Err() == nil {
			n.log.Warn("the keys that mail is signed with are not looked after now", "error", err)
		}
		if !sleep(ctx, keysPause, nil) || !sleep(ctx, keysEvery, changed) {
			return
		}
	}
}

// sleep waits for d, or until something comes. It reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration, until <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-until:
	}
	return true
}

func (n *Node) tendKeysOnce(ctx context.Context, r *dns.Resolver) error {
	if n.level() < command.PutMail.Level() {
		return nil
	}
	k, err := n.readKeys()
	if err != nil {
		return err
	}
	for _, old := range k.gone {
		err = errors.Join(err, n.changeKeys(ctx, old.GetDkimKey().Domain, []*directorypb.MailRecord{old}, keychain.Change{Remove: []*directorypb.DkimKey{old.GetDkimKey()}}))
	}
	err = errors.Join(err, n.tendSecrets(ctx, keychain.SRS, k.settings.SRS, k.secrets), n.tendSecrets(ctx, keychain.BATV, k.settings.BounceTags != "off", k.secrets))
	for domain, records := range k.domains {
		if !k.settings.DKIM || ctx.Err() != nil {
			break
		}
		f := keychain.Facts{Keys: keysOf(records), Now: time.Now(), Rotate: time.Duration(k.settings.DKIMRotationDays) * 24 * time.Hour}
		f.Seen = keysSeen(ctx, r, f.Keys, func(s keychain.State) bool { return s == keychain.Waiting || s == keychain.Removable })
		if e := n.changeKeys(ctx, domain, records, keychain.Plan(f)); e != nil {
			err = errors.Join(err, fmt.Errorf("keys of %s: %w", domain, e))
		}
	}
	return err
}

// allKeys are those of the directory at a moment.
type allKeys struct {
	settings directory.Settings
	domains  map[string][]*directorypb.MailRecord // DKIM keys of each domain
	gone     []*directorypb.MailRecord            // of domains that are ours no more
	secrets  map[string][]keychain.Secret         // by use
}

func (n *Node) readKeys() (k allKeys, err error) {
	k.domains, k.secrets = map[string][]*directorypb.MailRecord{}, map[string][]keychain.Secret{}
	err = n.view(func(v directory.View) (err error) {
		if k.settings, err = v.Settings(); err != nil {
			return err
		}
		for _, use := range []string{keychain.SRS, keychain.BATV} {
			if k.secrets[use], err = secretsOf(v, use); err != nil {
				return err
			}
		}
		all, err := v.Domains()
		if err != nil {
			return err
		}
		for _, d := range all {
			k.domains[d.Name] = nil
		}
		return v.EachMailRecord(directory.MailDkimKey, "", func(r *directorypb.MailRecord) error {
			domain := r.GetDkimKey().Domain
			if list, ours := k.domains[domain]; ours {
				k.domains[domain] = append(list, r)
			} else {
				k.gone = append(k.gone, r)
			}
			return nil
		})
	})
	return k, err
}

// keysSeen asks DNS about the keys in some states.
func keysSeen(ctx context.Context, r *dns.Resolver, keys []*directorypb.DkimKey, of func(keychain.State) bool) map[string]keychain.Seen {
	seen := map[string]keychain.Seen{}
	for _, k := range keys {
		if !of(keychain.StateOf(k, time.Now())) {
			continue
		}
		key, err := dkim.NewKey(k.Domain, k.Selector, k.PrivateKey)
		if err != nil {
			continue
		}
		texts, err := textsOf(r)(ctx, key.Host())
		switch {
		case err != nil:
		case key.Published(texts):
			seen[k.Selector] = keychain.Published
		case len(texts) == 0:
			seen[k.Selector] = keychain.Missing
		default:
			seen[k.Selector] = keychain.Differs
		}
	}
	return seen
}

// changeKeys carries a change out, against the records that it was planned on.
func (n *Node) changeKeys(ctx context.Context, domain string, records []*directorypb.MailRecord, c keychain.Change) error {
	if c.Empty() {
		return nil
	}
	var changes []directory.MailChange
	add := func(k *directorypb.DkimKey, remove bool) {
		change := directory.MailChange{Record: dkimRecord(k), Remove: remove, Expected: new(uint64)}
		if i := slices.IndexFunc(records, func(r *directorypb.MailRecord) bool { return r.Name == change.Record.Name }); i >= 0 {
			*change.Expected = records[i].Version
		}
		changes = append(changes, change)
		n.log.Info("a DKIM key changes", "domain", k.Domain, "selector", k.Selector, "state", string(keychain.StateOf(k, time.Now())), "removed", remove)
	}
	keys := keysOf(records)
	for _, kind := range c.Make {
		k, err := newDkimKey(domain, keychain.Selector(keys, kind, time.Now()), kind, nil)
		if err != nil {
			return err
		}
		keys = append(keys, k)
		add(k, false)
	}
	for _, k := range c.Put {
		add(k, false)
	}
	for _, k := range c.Remove {
		add(k, true)
	}
	return n.putMail(ctx, changes...)
}

func dkimRecord(k *directorypb.DkimKey) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: k.Domain + "/" + k.Selector, Record: &directorypb.MailRecord_DkimKey{DkimKey: k}}
}

// newDkimKey makes a key that waits, of a private key that is there or a new one.
func newDkimKey(domain, selector, kind string, private []byte) (*directorypb.DkimKey, error) {
	if private == nil {
		var err error
		if private, err = dkim.Generate(kind, rand.Reader); err != nil {
			return nil, err
		}
	}
	k, err := dkim.NewKey(domain, selector, private)
	if err != nil {
		return nil, err
	}
	return &directorypb.DkimKey{Domain: domain, Selector: selector, Algorithm: k.Kind(), PrivateKey: private, Created: time.Now().UnixMilli()}, nil
}

// tendSecrets sees to the secrets of a use that is wanted, and forgets old ones in any case.
func (n *Node) tendSecrets(ctx context.Context, use string, wanted bool, all map[string][]keychain.Secret) error {
	number, retire, forget := keychain.SecretsDue(all[use], time.Now())
	var changes []directory.MailChange
	if wanted && number != 0 {
		key := make([]byte, keychain.SecretSize)
		if _, err := rand.Read(key); err != nil {
			return fmt.Errorf("draw a secret: %w", err)
		}
		s := keychain.Secret{Number: number, Secret: &directorypb.Secret{Key: key, Created: time.Now().UnixMilli()}}
		changes = append(changes, directory.MailChange{Record: s.Record(use), Expected: new(uint64)})
		for _, s := range retire {
			changes = append(changes, directory.MailChange{Record: s.Record(use)})
		}
	}
	for _, s := range forget {
		changes = append(changes, directory.MailChange{Record: s.Record(use), Remove: true})
	}
	if len(changes) == 0 {
		return nil
	}
	if err := n.putMail(ctx, changes...); err != nil {
		return fmt.Errorf("secrets of %s: %w", use, err)
	}
	return nil
}
