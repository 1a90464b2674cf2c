package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// Place is an account of the lost cluster: its partition and its id there.
type Place struct {
	Group uint16
	Owner uint64
}

// Resident is an account that packs speak of.
type Resident struct {
	Place
	Address string    // what the latest pack that knows one says; may be empty
	Latest  time.Time // when the latest pack with mail of it was made

	named time.Time // when the pack was made that Address is from
}

// Census learns from manifests who there was. The zero Census has seen none.
type Census struct {
	residents map[Place]*Resident
	clusters  map[string]int
}

// Add counts a manifest.
func (c *Census) Add(m *blobstore.Manifest) {
	if c.residents == nil {
		c.residents, c.clusters = map[Place]*Resident{}, map[string]int{}
	}
	c.clusters[m.Cluster]++
	for _, a := range m.Accounts {
		at := Place{m.Group, Owner(a.ID)}
		r := c.residents[at]
		if r == nil {
			r = &Resident{Place: at}
			c.residents[at] = r
		}
		if m.Created.After(r.Latest) {
			r.Latest = m.Created
		}
		if a.Address != "" && (r.Address == "" || m.Created.After(r.named)) {
			r.Address, r.named = a.Address, m.Created
		}
	}
}

// Clusters gives the ids of the clusters that manifests were of, and of how many each.
func (c *Census) Clusters() map[string]int { return c.clusters }

// Verdict is what becomes of the accounts.
type Verdict struct {
	Addresses map[Place]string // of those whose mail is to be recovered
	Nameless  []Resident       // no pack says what their address was
	Former    []Resident       // their address was given to another account later, whose mail is recovered
}

// Verdict decides. Where an account was deleted and its address given to another one, the mail of the
// first must not come to the second: the later account has the address.
func (c *Census) Verdict() Verdict {
	v := Verdict{Addresses: map[Place]string{}}
	holder := map[string]*Resident{}
	all := make([]*Resident, 0, len(c.residents))
	for _, r := range c.residents {
		all = append(all, r)
	}
	// The later one first. Ids ascend in a cluster, so that they decide what dates do not.
	slices.SortFunc(all, func(a, b *Resident) int {
		return cmp.Or(b.Latest.Compare(a.Latest), cmp.Compare(b.Owner, a.Owner), cmp.Compare(b.Group, a.Group))
	})
	for _, r := range all {
		switch {
		case r.Address == "":
			v.Nameless = append(v.Nameless, *r)
		case holder[r.Address] != nil:
			v.Former = append(v.Former, *r)
		default:
			holder[r.Address] = r
			v.Addresses[r.Place] = r.Address
		}
	}
	return v
}
