package bodies_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/packertest"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestVerify: what is damaged is told with the message that it is of; who does not lead says so.
func TestVerify(t *testing.T) {
	h := newHouse(t)
	store := object.NewMemory()
	h.buckets["s3://one"] = store
	p := packertest.New(3, time.Now)
	p.Add(7, 2, 9, []byte(strings.Repeat("a frame ", 100)))
	s, _ := h.serve(p)
	ask := adminapi.BlobVerify{Partition: 3}
	if _, err := s.Verify(t.Context(), ask); !errors.Is(err, cluster.ErrNotLeader) {
		t.Errorf("without a store: %v", err)
	}
	h.use("s3://one", nil)
	packs(t, s, p)
	_, packs := p.State()
	v, err := s.Verify(t.Context(), ask)
	if err != nil || v.Packs != 1 || v.Bodies != 1 || v.Bytes != packs[0].Size || v.After != 1 || v.More || len(v.Problems) > 0 {
		t.Errorf("whole: %+v, %v", v, err)
	}
	if !store.Flip(packs[0].Object(), 300) {
		t.Fatal("nothing was damaged")
	}
	v, err = s.Verify(t.Context(), ask)
	if err != nil || len(v.Problems) != 1 || !strings.Contains(v.Problems[0], `message 9 of "Box 2" of a7@example.org`) {
		t.Errorf("damaged: %+v, %v", v, err)
	}
	ask.After = 1
	if v, err = s.Verify(t.Context(), ask); err != nil || v.Packs != 0 || v.More {
		t.Errorf("behind the last: %+v, %v", v, err)
	}
}
