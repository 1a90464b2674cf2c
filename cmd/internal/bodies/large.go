package bodies

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// Large begins a large body that is to be in object storage before its message is committed. It is
// blobstore.ErrUnavailable where no store is in use, bodies are to be embedded, or the store is known to fail.
func (s *Service) Large() (mailstore.LargeBody, error) {
	st := s.borrow()
	if st == nil {
		return nil, errNoStore
	}
	defer st.users.Done()
	if st.setting.Embedded || st.packer == nil || st.failed != nil {
		return nil, fmt.Errorf("a pack for a large body: %w", blobstore.ErrUnavailable)
	}
	single, err := st.packer.Single()
	if err != nil {
		return nil, err
	}
	return &large{single, s, st}, nil
}

// large is a large body that goes to the store that was in use when it began, or to none: its sender may
// take long, and no change of the setting waits for him.
type large struct {
	*packer.Single
	service *Service
	station *station
}

// Put implements mailstore.LargeBody.
func (l *large) Put(ctx context.Context, group uint16, m *blobstore.Manifest, begin func(blobstore.Pack) (uint64, error)) (blobstore.Entry, int64, error) {
	st := l.service.borrow()
	if st == nil {
		return blobstore.Entry{}, 0, errNoStore
	}
	defer st.users.Done()
	if st != l.station {
		return blobstore.Entry{}, 0, errNoStore
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(st.life, cancel)()
	return l.Single.Put(ctx, group, m, begin)
}
