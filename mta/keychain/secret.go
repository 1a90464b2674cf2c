package keychain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// What secrets are for: the first part of their names, before a slash and a number that counts up.
const (
	SRS  = "srs"  // senders of what is sent on (mta/srs)
	BATV = "batv" // senders of our own (mta/batv)
)

// The times of a secret.
const (
	secretLife   = 90 * 24 * time.Hour // after which it gets a successor
	secretMemory = 30 * 24 * time.Hour // for which it is recognised after that: longer than srs.Life and batv.Life
	secretSpread = time.Hour           // that a successor is not used yet: every node is to recognise it before
)

// SecretSize is how long a secret is, in octets.
const SecretSize = 32

// Secret is one of the cluster's secrets of a use.
type Secret struct {
	Number uint64
	*directorypb.Secret
}

// SecretOf reads a record. ok is false for one of another use.
func SecretOf(use string, r *directorypb.MailRecord) (s Secret, ok bool) {
	text, ok := strings.CutPrefix(r.Name, use+"/")
	number, err := strconv.ParseUint(text, 10, 64)
	if !ok || err != nil || r.GetSecret() == nil {
		return Secret{}, false
	}
	return Secret{number, r.GetSecret()}, true
}

// Record is the record of a secret.
func (s Secret) Record(use string) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: fmt.Sprintf("%s/%d", use, s.Number), Record: &directorypb.MailRecord_Secret{Secret: s.Secret}}
}

// InUse is the secret that new addresses are made with; ok is false where there is none.
func InUse(secrets []Secret, now time.Time) (s Secret, ok bool) {
	if len(secrets) == 0 {
		return Secret{}, false
	}
	secrets = newestFirst(secrets)
	for _, s := range secrets {
		if now.Sub(time.UnixMilli(s.Created)) >= secretSpread {
			return s, true
		}
	}
	return secrets[len(secrets)-1], true // the first of a cluster, which knows it by the time that an address comes back
}

// SecretsDue says what is due: the number of a secret to be made, 0 for none, those that it takes the place of, and those
// to be forgotten.
func SecretsDue(secrets []Secret, now time.Time) (number uint64, retire, forget []Secret) {
	secrets = newestFirst(secrets)
	if len(secrets) == 0 {
		return 1, nil, nil
	}
	if now.Sub(time.UnixMilli(secrets[0].Created)) >= secretLife {
		number = secrets[0].Number + 1
	}
	for _, s := range secrets {
		switch {
		case s.Retired == 0 && (number != 0 || s.Number != secrets[0].Number):
			gone := proto.CloneOf(s.Secret)
			gone.Retired = now.UnixMilli()
			retire = append(retire, Secret{s.Number, gone})
		case s.Retired != 0 && now.Sub(time.UnixMilli(s.Retired)) >= secretMemory:
			forget = append(forget, s)
		}
	}
	return number, retire, forget
}

func newestFirst(secrets []Secret) []Secret {
	return slices.SortedFunc(slices.Values(secrets), func(a, b Secret) int { return cmp.Compare(b.Number, a.Number) })
}
