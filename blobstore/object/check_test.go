package object_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/objecttest"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		faults object.Faults
		want   string // in the error; "" is none
		is     error
		left   int // objects that stay behind
	}{
		"works":         {object.Faults{}, "", nil, 0},
		"no write":      {object.Faults{Deny: []object.Kind{object.KindPut}}, "write failed, which needs the permission s3:PutObject", object.ErrDenied, 0},
		"no read":       {object.Faults{Deny: []object.Kind{object.KindGet}}, "ranged read failed, which needs the permission s3:GetObject", object.ErrDenied, 0},
		"no stat":       {object.Faults{Deny: []object.Kind{object.KindStat}}, "stat failed, which needs the permission s3:GetObject", object.ErrDenied, 0},
		"no list":       {object.Faults{Deny: []object.Kind{object.KindList}}, "list failed, which needs the permission s3:ListBucket", object.ErrDenied, 0},
		"no delete":     {object.Faults{Deny: []object.Kind{object.KindDelete}}, "delete failed, which needs the permission s3:DeleteObject", object.ErrDenied, 1},
		"read only":     {object.Faults{ReadOnly: true}, "s3:PutObject", object.ErrDenied, 0},
		"down":          {object.Faults{Down: true}, "write failed:", blobstore.ErrUnavailable, 0},
		"loses":         {object.Faults{LosePuts: true}, "ranged read failed:", object.ErrNotFound, 0},
		"truncates":     {object.Faults{TruncatePuts: true}, "stat failed: the object is damaged", blobstore.ErrDamaged, 0},
		"corrupts":      {object.Faults{CorruptGets: true}, "ranged read failed: the object is damaged", blobstore.ErrDamaged, 0},
		"goes down":     {object.Faults{Down: true, After: 3}, "list failed:", blobstore.ErrUnavailable, 1},
		"goes away now": {object.Faults{Down: true, After: 4}, "delete failed:", blobstore.ErrUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := object.NewMemory()
			f := object.NewFault(m)
			f.Set(c.faults)
			err := object.Check(t.Context(), f)
			var short *object.Shortcoming
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v", err)
			case c.want != "" && (!errors.As(err, &short) || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if names := objecttest.Names(t, m, ""); len(names) != c.left {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}

func TestClaim(t *testing.T) {
	m := object.NewMemory()
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	if owner, err := object.Owner(t.Context(), m); owner != "" || err != nil {
		t.Errorf("an empty prefix belongs to %q, error %v", owner, err)
	}
	for range 2 {
		if err := object.Claim(t.Context(), m, "aa11", now); err != nil {
			t.Error(err)
		}
	}
	got, err := objecttest.Get(t.Context(), m, "rookery.json")
	if want := `{"format":1,"cluster":"aa11","since":"2026-01-05T08:00:00Z"}`; err != nil || string(got) != want {
		t.Errorf("the marker is %s, error %v; want %s", got, err, want)
	}
	var foreign *object.ForeignError
	if err := object.Claim(t.Context(), m, "bb22", now); !errors.As(err, &foreign) || foreign.Cluster != "aa11" {
		t.Errorf("a second cluster: %v", err)
	}
	objecttest.Put(t, m, "rookery.json", []byte("{}"))
	if err := object.Claim(t.Context(), m, "aa11", now); !errors.Is(err, blobstore.ErrDamaged) {
		t.Errorf("a marker of somebody else: %v", err)
	}
	f := object.NewFault(m)
	f.Set(object.Faults{Down: true})
	if err := object.Claim(t.Context(), f, "aa11", now); !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("a store that is down: %v", err)
	}
}
