package node

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/mta/batv"
	"github.com/rookery-mail/rookery/mta/keychain"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/srs"
)

// returning is the directory of the SMTP door that knows the addresses which senders of ours go out with: tagged ones lead to
// whom they are of, rewritten ones to where the message came from. What only looks like one is nobody.
type returning struct {
	smtpd.Directory
	view func(func(directory.View) error) error
	now  func() time.Time
}

// Resolve finds whom the mail for an address goes to.
func (d returning) Resolve(text string) (directory.Resolution, error) {
	if !batv.Tagged(text) && !srs.Rewritten(text) {
		return d.Directory.Resolve(text)
	}
	meant, elsewhere, err := d.meant(text)
	if err != nil {
		return directory.Resolution{}, err
	}
	if elsewhere {
		return directory.Resolution{Remote: []string{meant}}, nil
	}
	return d.Directory.Resolve(meant)
}

// meant is the address that another stands for: itself, where it is one of another server or of a user.
func (d returning) meant(text string) (meant string, elsewhere bool, err error) {
	meant = text
	err = d.view(func(v directory.View) error {
		a, err := address.Parse(text)
		if err != nil {
			return nil // whoever is asked next says so
		}
		if ours, err := oursIn(v, a.Domain); err != nil || !ours {
			return err
		}
		if batv.Tagged(text) {
			meant, err = untagged(v, text, d.now())
			return err
		}
		secrets, err := secretsOf(v, keychain.SRS)
		if err != nil || len(secrets) == 0 {
			return err // nothing was ever rewritten here
		}
		if meant, err = srs.Restore(text, octetsOf(secrets), d.now()); err != nil {
			return fmt.Errorf("%w: %w", directory.ErrNoUser, err)
		}
		a, err = address.Parse(meant)
		if err != nil {
			return fmt.Errorf("%w: %w", directory.ErrNoUser, err)
		}
		ours, err := oursIn(v, a.Domain)
		elsewhere = !ours
		return err
	})
	return meant, elsewhere, err
}

// untagged takes the tag off; where none was ever made here, an address is what it is.
func untagged(v directory.View, text string, now time.Time) (string, error) {
	secrets, err := secretsOf(v, keychain.BATV)
	if err != nil || len(secrets) == 0 {
		return text, err
	}
	var keys []batv.Key
	for _, s := range secrets {
		keys = append(keys, batv.Key{Number: s.Number, Secret: s.GetKey()})
	}
	plain, _, err := batv.Untag(text, keys, now)
	if err != nil {
		return "", fmt.Errorf("%w: %w", directory.ErrNoUser, err)
	}
	return plain, nil
}

func octetsOf(secrets []keychain.Secret) (out [][]byte) {
	for _, s := range secrets {
		out = append(out, s.GetKey())
	}
	return out
}
