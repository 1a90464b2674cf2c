package reader

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// TestPolicyAccounts: whatever is read, comes and goes, the sums are those of what stays, within the bound.
func TestPolicyAccounts(t *testing.T) {
	p := newPolicy(64*blockSize, time.Minute)
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1e9, 0)
	for range 20000 {
		b := block{number: random.Int64N(300)}
		now = now.Add(time.Second)
		switch random.IntN(4) {
		case 0:
			p.add(b, 1+random.Int64N(blockSize), now)
		case 1:
			p.remove(b)
		default:
			if p.read(b, now) != p.has(b) {
				t.Fatal("read and has differ")
			}
		}
		var all, recent int64
		for _, e := range p.blocks {
			k := e.Value.(*kept)
			all += k.size
			if !k.often {
				recent += k.size
			}
		}
		if all != p.bytes || recent != p.recentBytes || all > p.capacity || p.recent.Len()+p.often.Len() != len(p.blocks) {
			t.Fatalf("%d octets of %d, %d recent of %d, %d blocks in %d and %d", all, p.bytes, recent, p.recentBytes, len(p.blocks), p.recent.Len(), p.often.Len())
		}
		if p.ghosts.Len() != len(p.gone) || p.ghosts.Len() > 32 {
			t.Fatalf("%d ghosts, %d known", p.ghosts.Len(), len(p.gone))
		}
	}
}

func TestComesBackOften(t *testing.T) {
	p := newPolicy(8*blockSize, time.Minute)
	now := time.Unix(1e9, 0)
	for n := range int64(9) { // the first has to go
		p.add(block{number: n}, blockSize, now)
	}
	if p.has(block{}) {
		t.Fatal("more than there is room for")
	}
	p.add(block{}, blockSize, now)
	for n := range int64(100) {
		p.add(block{number: 100 + n}, blockSize, now)
	}
	if !p.has(block{}) {
		t.Error("a block that came back went with a scan")
	}
}

func TestBlockLargerThanAll(t *testing.T) {
	p := newPolicy(100, time.Minute)
	if out := p.add(block{}, 101, time.Time{}); len(out) != 1 || p.bytes != 0 || len(p.blocks) != 0 {
		t.Errorf("%v, %d octets", out, p.bytes)
	}
}

func FuzzReadName(f *testing.F) {
	f.Add(fmt.Sprintf("%s-%d", blobstore.PackID{1}, 7))
	f.Add("00-x")
	f.Add(fmt.Sprintf("%s-+7", blobstore.PackID{1}))
	s := &shelf{dir: "/d"}
	f.Fuzz(func(t *testing.T, name string) {
		b, ok := readName(name)
		if !ok {
			return
		}
		if again, ok := readName(filepath.Base(s.file(b))); !ok || again != b || b.number < 0 {
			t.Errorf("%+v comes back as %+v", b, again)
		}
	})
}
