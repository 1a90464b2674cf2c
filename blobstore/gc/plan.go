package gc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// Defaults of a Policy.
const (
	DefaultGrace  = 72 * time.Hour
	DefaultTarget = 32 << 20
)

// maxBodies is how many bodies go into one pack at most, so that its manifest stays small.
const maxBodies = 16384

// mergeOf is how many small packs of one class of size are merged, and how far classes are apart: a
// body is then copied once for each class it climbs, however quiet its partition.
const mergeOf = 8

// Policy is when packs are rewritten and deleted. The zero Policy has the defaults.
type Policy struct {
	// Grace is how long the object of a doomed pack stays, for readers that still know a place in it.
	// 0 is DefaultGrace, below 0 is none.
	Grace time.Duration
	// Target is the size in octets that packs are rewritten to. 0 is DefaultTarget.
	Target int64
	// Retired says whether packs under a key are to be rewritten; blobstore.KeyID's zero is no
	// encryption. nil: none are.
	Retired func(blobstore.KeyID) bool
}

// Plan is what is to be done with a partition's packs. Each part is a step of its own, which may be done
// again, or by another leader, with the same end.
type Plan struct {
	Rewrite [][]blobstore.PackInfo // the live bodies of each group of packs go into one new pack
	Delete  []blobstore.PackInfo   // objects to be deleted; then their packs are forgotten
}

// Plan says what is to be done with packs at a time. Packs are rewritten in blobstore.Packed only:
// before, the users of bodies are not known; afterwards, bodies go home.
func (p Policy) Plan(mode blobstore.Mode, packs []blobstore.PackInfo, now time.Time) Plan {
	p = p.withDefaults()
	var plan Plan
	var sparse, small []blobstore.PackInfo
	for _, info := range packs {
		switch {
		case info.State == blobstore.PackDoomed && now.Sub(info.Since) >= p.Grace:
			plan.Delete = append(plan.Delete, info)
		case info.State != blobstore.PackWhole || info.LiveBodies == 0 || mode != blobstore.Packed:
		case p.Retired(info.Key), info.LiveBytes < info.DeadBytes:
			sparse = append(sparse, info)
		case info.LiveBytes+info.DeadBytes < uint64(p.Target)/4:
			small = append(small, info)
		}
	}
	plan.Rewrite = p.fill(sparse)
	for _, class := range classes(small, p.Target) {
		for _, group := range p.fill(class) {
			if len(group) > 1 { // one by itself would only be copied
				plan.Rewrite = append(plan.Rewrite, group)
			}
		}
	}
	byNumber(plan.Delete)
	return plan
}

func (p Policy) withDefaults() Policy {
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	if p.Target == 0 {
		p.Target = DefaultTarget
	}
	if p.Retired == nil {
		p.Retired = func(blobstore.KeyID) bool { return false }
	}
	return p
}

// fill divides packs, by number, into groups whose live bodies fit into a pack.
func (p Policy) fill(packs []blobstore.PackInfo) [][]blobstore.PackInfo {
	byNumber(packs)
	var groups [][]blobstore.PackInfo
	var bytes, bodies uint64
	for _, info := range packs {
		if len(groups) == 0 || bytes+info.LiveBytes > uint64(p.Target) || bodies+info.LiveBodies > maxBodies {
			groups = append(groups, nil)
			bytes, bodies = 0, 0
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], info)
		bytes, bodies = bytes+info.LiveBytes, bodies+info.LiveBodies
	}
	return groups
}

// classes gives the small packs of each class of size that has enough of them.
func classes(small []blobstore.PackInfo, target int64) [][]blobstore.PackInfo {
	var out [][]blobstore.PackInfo
	for above := uint64(target) / 4; above > 0 && len(small) > 0; above /= mergeOf {
		var class, rest []blobstore.PackInfo
		for _, info := range small {
			if info.LiveBytes+info.DeadBytes >= above/mergeOf {
				class = append(class, info)
			} else {
				rest = append(rest, info)
			}
		}
		if len(class) >= mergeOf {
			out = append(out, class)
		}
		small = rest
	}
	return out
}

func byNumber(packs []blobstore.PackInfo) {
	slices.SortFunc(packs, func(a, b blobstore.PackInfo) int { return cmp.Compare(a.Number, b.Number) })
}

// String gives the plan as lines, a step each.
func (p Plan) String() string {
	var b strings.Builder
	for _, group := range p.Rewrite {
		fmt.Fprintf(&b, "rewrite %s\n", numbers(group))
	}
	if len(p.Delete) > 0 {
		fmt.Fprintf(&b, "delete %s\n", numbers(p.Delete))
	}
	return b.String()
}

func numbers(packs []blobstore.PackInfo) string {
	words := make([]string, len(packs))
	for i, info := range packs {
		words[i] = fmt.Sprint(info.Number)
	}
	return strings.Join(words, " ")
}
