package engine_test

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/reader"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// objects is the object store of a stage; until something is packed there is none.
type objects struct {
	*reader.Reader
	memory *object.Memory
	fault  *object.Fault
}

var _ mailstore.Blobs = (*objects)(nil)

// happen does one of
//
//	pack    what is staged goes into packs; the store works
//	down    the store answers nothing, and nothing is cached
//	up      it works again
//	loses   it forgets all objects, and nothing is cached
func (o *objects) happen(st *stage, what string) {
	if o.memory == nil {
		o.memory = object.NewMemory()
		o.fault = object.NewFault(o.memory)
		st.t.Cleanup(func() { o.Close() })
	}
	if o.Reader != nil {
		o.Close()
	}
	o.Reader = reader.New(context.WithoutCancel(st.t.Context()), reader.Config{Bucket: o.fault, Timeout: time.Minute})
	o.fault.Set(object.Faults{Down: what == "down"})
	switch what {
	case "pack":
		for g := cluster.GroupID(1); g <= mailstoretest.Partitions; g++ {
			st.cluster.Pack(st.t, g, o.memory, 1<<20)
		}
	case "loses":
		err := o.memory.List(st.t.Context(), "", func(i object.Info) error { return o.memory.Delete(st.t.Context(), i.Name) })
		if err != nil {
			st.t.Fatal(err)
		}
	case "down", "up":
	default:
		st.t.Fatalf("nobody knows what an object store does when it is %q", what)
	}
}
