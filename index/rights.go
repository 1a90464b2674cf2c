package index

import (
	"errors"
	"fmt"
	"strings"
)

// Rights are what somebody may do with a mailbox, as bits (RFC 4314, section 2.1). The numbers are stored.
type Rights uint32

// The rights, each with its letter.
const (
	RightLookup         Rights = 1 << iota // l: LIST shows it
	RightRead                              // r: SELECT, STATUS, COPY from it
	RightSeen                              // s: set and clear \Seen
	RightWrite                             // w: other flags but \Deleted
	RightInsert                            // i: APPEND, COPY to it
	RightPost                              // p: send mail to it; kept, and enforced nowhere
	RightCreate                            // k: make mailboxes below it
	RightDelete                            // x: delete or rename it
	RightDeleteMessages                    // t: set and clear \Deleted
	RightExpunge                           // e: EXPUNGE
	RightAdminister                        // a: read and change who has rights
)

// AllRights are those that an owner always has.
const AllRights = RightAdminister<<1 - 1

// rightLetters are the letters of the rights, in the order of their bits.
const rightLetters = "lrswipkxtea"

// The rights of RFC 2086 that stand for several (RFC 4314, section 2.1.1).
const (
	virtualCreate = RightCreate | RightDelete
	virtualDelete = RightDeleteMessages | RightExpunge
)

// MaxGrants is how many others may have rights on one mailbox. Replicas must agree on it.
const MaxGrants = 200

// Errors about rights; test with errors.Is.
var (
	ErrRights        = errors.New("not a right")
	ErrTooManyGrants = errors.New("too many have rights on this mailbox")
)

// Has reports whether all of want are among r.
func (r Rights) Has(want Rights) bool { return r&want == want }

// String gives the letters of the rights, and c and d of RFC 2086 where any right is set that these
// stand for.
func (r Rights) String() string {
	var b strings.Builder
	for i := range len(rightLetters) {
		if r&(1<<i) != 0 {
			b.WriteByte(rightLetters[i])
		}
	}
	if r&virtualCreate != 0 {
		b.WriteByte('c')
	}
	if r&virtualDelete != 0 {
		b.WriteByte('d')
	}
	return b.String()
}

// ParseRights reads letters of rights, c standing for k and x, d for t and e. Anything else is ErrRights.
func ParseRights(letters string) (Rights, error) {
	var r Rights
	for i := range len(letters) {
		switch c := letters[i]; c {
		case 'c':
			r |= virtualCreate
		case 'd':
			r |= virtualDelete
		default:
			n := strings.IndexByte(rightLetters, c)
			if n < 0 {
				return 0, fmt.Errorf("%q: %w", c, ErrRights)
			}
			r |= 1 << n
		}
	}
	return r, nil
}

// Anyone stands, in the place of an account, for every account of the cluster.
const Anyone AccountID = 0

// Grant is what one account, or anyone, may do with a mailbox of another.
type Grant struct {
	Grantee AccountID
	Rights  Rights
}

// RightsOf gives the rights of an account by the grants of a mailbox: its own and those of anyone.
func RightsOf(grants []Grant, a AccountID) (r Rights) {
	for _, g := range grants {
		if g.Grantee == a || g.Grantee == Anyone {
			r |= g.Rights
		}
	}
	return r
}
