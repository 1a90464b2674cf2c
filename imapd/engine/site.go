package engine

import (
	"context"

	"github.com/rookery-mail/rookery/index"
)

// Site is what sessions ask of the cluster beyond the mail of one account. Its methods are called from many
// sessions at once.
type Site interface {
	// Administrator reports whether an account administers the cluster.
	Administrator(a index.AccountID) (bool, error)
	// ServerMetadata returns the annotations of the server under /shared/, by entry.
	ServerMetadata(ctx context.Context) ([]index.Annotation, error)
	// SetServerMetadata changes them, all or none; one without a value goes. Errors are
	// index.ErrTooManyAnnotations, cluster.ErrUnavailable and the context's.
	SetServerMetadata(ctx context.Context, changes []index.Annotation) error
	// Account gives the account of an address, or index.ErrNoAccount.
	Account(ctx context.Context, address string) (index.AccountID, error)
	// Local reports whether a host in a URL is this cluster.
	Local(host string) bool
	// Usage is what an account uses of its quota.
	Usage(ctx context.Context, a index.AccountID) (index.Usage, error)
	// SetQuota sets the limits of an account; 0 is the cluster's default.
	SetQuota(ctx context.Context, a index.AccountID, bytes, messages uint64) error
}

// noSite is a cluster without administrators and annotations.
type noSite struct{}

var _ Site = noSite{}

func (noSite) Administrator(index.AccountID) (bool, error) { return false, nil }

func (noSite) ServerMetadata(context.Context) ([]index.Annotation, error) { return nil, nil }

func (noSite) Account(context.Context, string) (index.AccountID, error) { return 0, index.ErrNoAccount }

func (noSite) Local(string) bool { return false }

func (noSite) Usage(context.Context, index.AccountID) (index.Usage, error) {
	return index.Usage{}, index.ErrNoAccount
}

func (noSite) SetQuota(context.Context, index.AccountID, uint64, uint64) error {
	return errNoPermission
}

func (noSite) SetServerMetadata(context.Context, []index.Annotation) error { return errNoPermission }
