package smtpd

import (
	"context"
	"crypto/rand"
	"encoding/base32"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
)

// Mailstore makes a mail store what this door needs.
func Mailstore(s *mailstore.Store) Store { return mailStore{s} }

type mailStore struct{ s *mailstore.Store }

var _ Incoming = (*mailstore.Incoming)(nil)

func (m mailStore) NewIncoming(ctx context.Context, accounts []index.AccountID, trace []byte) Incoming {
	return m.s.NewIncoming(ctx, accounts, trace)
}

func (m mailStore) Usage(ctx context.Context, account index.AccountID) (index.Usage, error) {
	return m.s.Account(account).Usage(ctx)
}

// randomID gives 80 random bits in 16 letters and digits.
func randomID() mta.ID {
	var b [10]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return mta.ID(base32.HexEncoding.EncodeToString(b[:]))
}
