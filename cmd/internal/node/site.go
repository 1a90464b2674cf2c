package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
)

// imapSite is what IMAP sessions ask of the cluster.
type imapSite struct{ n *Node }

var _ engine.Site = imapSite{}

// Administrator implements engine.Site. An account that is gone administers nothing.
func (s imapSite) Administrator(a index.AccountID) (admin bool, err error) {
	err = s.view(func(v directory.View) error {
		account, err := v.Account(a)
		admin = account.Admin && !account.Disabled
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		return err
	})
	return admin, err
}

// ServerMetadata implements engine.Site.
func (s imapSite) ServerMetadata(context.Context) (all []index.Annotation, err error) {
	err = s.view(func(v directory.View) error {
		annotations, err := v.Annotations()
		for _, a := range annotations {
			all = append(all, index.Annotation{Entry: a.Entry, Value: a.Value})
		}
		return err
	})
	return all, err
}

// SetServerMetadata implements engine.Site.
func (s imapSite) SetServerMetadata(ctx context.Context, changes []index.Annotation) error {
	put := make([]directory.Annotation, len(changes))
	for i, c := range changes {
		put[i] = directory.Annotation{Entry: c.Entry, Value: c.Value}
	}
	c, err := directory.PutAnnotations(put...)
	if err := s.n.change(ctx, c, err); err != nil {
		if errors.Is(err, directory.ErrInvalid) { // the session has checked all but how many there are
			err = fmt.Errorf("%w: %w", index.ErrTooManyAnnotations, err)
		}
		return fmt.Errorf("annotate the server: %w", err)
	}
	return nil
}

// Account implements engine.Site.
func (s imapSite) Account(_ context.Context, address string) (id index.AccountID, err error) {
	err = s.view(func(v directory.View) error {
		account, err := v.AccountByAddress(address)
		id = account.ID
		if errors.Is(err, directory.ErrNotFound) {
			id, err = 0, nil
		}
		return err
	})
	if err == nil && id == 0 {
		err = index.ErrNoAccount
	}
	return id, err
}

// Local implements engine.Site: the node's own name, and names in and under the cluster's mail domains.
func (s imapSite) Local(host string) bool {
	if strings.EqualFold(host, s.n.cfg.SMTP.Hostname) {
		return true
	}
	local := false
	err := s.n.view(func(v directory.View) error {
		for name := host; name != "" && !local; {
			_, err := v.Domain(name)
			local = err == nil
			_, name, _ = strings.Cut(name, ".")
		}
		return nil
	})
	return err == nil && local
}

// Usage implements engine.Site.
func (s imapSite) Usage(ctx context.Context, a index.AccountID) (index.Usage, error) {
	return s.n.store.Account(a).Usage(ctx)
}

// SetQuota implements engine.Site.
func (s imapSite) SetQuota(ctx context.Context, a index.AccountID, bytes, messages uint64) error {
	c, err := directory.UpdateAccount(a, directory.AccountChange{QuotaBytes: &bytes, QuotaMessages: &messages})
	err = s.n.change(ctx, c, err)
	if errors.Is(err, directory.ErrNotFound) {
		err = fmt.Errorf("%w: %w", index.ErrNoAccount, err)
	}
	if err != nil {
		return fmt.Errorf("set the quota of account %d: %w", a, err)
	}
	return nil
}

// view reads the directory; what keeps it from being read is temporary.
func (s imapSite) view(fn func(directory.View) error) error {
	if err := s.n.view(fn); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	return nil
}
