package site

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// MinFree is the room that a site wants on its disk before it starts.
const MinFree = 2 << 30

// makeDirectory makes a directory for a site under parent, "" for the system's temporary one. All
// may enter it: Postfix's and Dovecot's processes change their user.
func makeDirectory(parent string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if err := Room(parent, MinFree); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "rookery-bench-")
	if err != nil {
		return "", fmt.Errorf("make a directory: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open the directory: %w", err)
	}
	return filepath.Abs(dir)
}

// Room is an error when the disk of a directory has less than so many octets left.
func Room(dir string, octets uint64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look for room in %s: %w", dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < octets {
		return fmt.Errorf("%s has %d MiB of room and a bench wants %d: name another directory with --dir", dir, free>>20, octets>>20)
	}
	return nil
}

// The ports that every node uses, on its own address.
const (
	portCluster    = 7700
	portGossip     = 7701
	portMX         = 2525
	portDNS        = 5353
	portSubmission = 2587
	portIMAP       = 2993
	portClaim      = 7799
)

// network is a range of loopback addresses, 127.62.X.1 to 127.62.X.9, that no other bench uses.
type network struct {
	x     int
	claim net.Listener
}

func claimNetwork() (*network, error) {
	var last error
	for i := range 250 {
		n := &network{x: 1 + (os.Getpid()+i)%250}
		if n.claim, last = net.Listen("tcp", hostPort(n.host(254), portClaim)); last != nil {
			continue
		}
		// A node that outlived its bench would answer in place of ours.
		var l net.Listener
		if l, last = net.Listen("tcp", hostPort(n.host(1), portMX)); last == nil {
			_ = l.Close() // it was only a try
			return n, nil
		}
		n.release()
	}
	return nil, fmt.Errorf("find loopback addresses: %w", last)
}

func (n *network) host(i int) string { return fmt.Sprintf("127.62.%d.%d", n.x, i) }

// release lets others use the addresses. It may be called more than once.
func (n *network) release() { _ = n.claim.Close() }

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
