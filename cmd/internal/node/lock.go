package node

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// lockDir makes sure that one process at a time uses the data directory. The lock ends with the
// process, however it ends.
func lockDir(cfg config.Config) (unlock func(), err error) {
	path := layout{cfg.DataDir}.lock()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by another rookery process: stop that one first", cfg.DataDir)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}
