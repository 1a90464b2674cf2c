package clustertest

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the memory file system of a node: it can lose what was not synced, and can be full.
type disk struct {
	vfs.FS
	mem  *vfs.MemFS
	free atomic.Uint64 // what GetDiskUsage says
}

// roomy is the free space of a disk that is not full.
const roomy = 1 << 40

func newDisk(mem *vfs.MemFS) *disk {
	d := &disk{FS: mem, mem: mem}
	d.free.Store(roomy)
	return d
}

// GetDiskUsage implements vfs.FS.
func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	free := d.free.Load()
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: roomy, UsedBytes: roomy - free}, nil
}

// crashed is the disk as it is found after a power loss.
func (d *disk) crashed() *disk { return newDisk(d.mem.CrashClone(vfs.CrashCloneCfg{})) }
