package smtpd

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
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
	a := m.s.Account(account)
	if !a.Limited() {
		return index.Usage{}, nil
	}
	return a.Usage(ctx)
}

// Members makes the local copy of the directory what this door needs.
func Members(source login.Source) Directory { return &members{source: source} }

// boundsAge is how old the settings may be that a message is held against. They are asked for with
// each message, and change once in a year.
const boundsAge = time.Second

type members struct {
	source login.Source

	mu     sync.Mutex // guards what follows
	bounds Bounds
	read   time.Time
}

func (m *members) Resolve(address string) (directory.Resolution, error) {
	snapshot := m.source.Snapshot()
	defer snapshot.Close()
	return directory.View{R: snapshot}.Resolve(address)
}

func (m *members) Owns(account index.AccountID, address string) (bool, error) {
	snapshot := m.source.Snapshot()
	defer snapshot.Close()
	return directory.View{R: snapshot}.Owns(account, address)
}

// Bounds falls back to the defaults of the settings where they cannot be read.
func (m *members) Bounds() Bounds {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); m.read.IsZero() || now.Sub(m.read) > boundsAge {
		m.read, m.bounds = now, m.readBounds()
	}
	return m.bounds
}

func (m *members) readBounds() Bounds {
	snapshot := m.source.Snapshot()
	defer snapshot.Close()
	settings, err := directory.View{R: snapshot}.Settings()
	if err != nil {
		return Bounds{MaxMessage: 50 << 20, MaxRecipients: 1000}
	}
	return Bounds{MaxMessage: int64(settings.MaxMessageSize), MaxRecipients: settings.MaxRecipients, OnlyTagged: settings.BounceTags == "refuse"}
}

// Logins makes an authenticator what this door needs.
func Logins(a *login.Authenticator) Authenticator { return logins{a} }

type logins struct{ a *login.Authenticator }

func (l logins) Mechanisms(conn login.Conn) []string { return l.a.MechanismsFor(conn) }

func (l logins) Begin(mechanism string, conn login.Conn) (Exchange, error) {
	return l.a.Server(mechanism, conn)
}

// RandomID gives 80 random bits in 16 letters and digits.
func RandomID() mta.ID {
	var b [10]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return mta.ID(base32.HexEncoding.EncodeToString(b[:]))
}
