package bodies

import (
	"fmt"
	"sync"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// Large begins a large body that is to be a pack of its own before its message is in the log; see
// packer.Single. blobstore.ErrUnavailable says that bodies stay in the state, or that the store is known
// to fail.
func (s *Service) Large() (mailstore.LargeBody, error) {
	st := s.borrow()
	if st == nil {
		return nil, errNoStore
	}
	if st.setting.Embedded || st.packer == nil || st.failed != nil {
		st.users.Done()
		return nil, fmt.Errorf("a pack for a large body: %w", blobstore.ErrUnavailable)
	}
	single, err := st.packer.Single()
	if err != nil {
		st.users.Done()
		return nil, err
	}
	return &large{Single: single, done: sync.OnceFunc(st.users.Done)}, nil
}

// large is a body that holds its station until it is closed.
type large struct {
	*packer.Single
	done func()
}

// Close implements mailstore.LargeBody.
func (l *large) Close() {
	l.Single.Close()
	l.done()
}
