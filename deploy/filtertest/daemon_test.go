//go:build linux

package filtertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come: the daemons compile their rules first.
const patience = 2 * time.Minute

// daemon is a filter of somebody else's.
type daemon struct {
	name, log string
	cmd       *exec.Cmd
	end       sync.Once
}

// start runs a filter with files laid over the system's, until the test ends.
func start(t *testing.T, name, address string, files map[string]string, command ...string) *daemon {
	t.Helper()
	cache := os.Getenv("ROOKERY_FILTERS")
	if _, err := os.Stat(filepath.Join(cache, name, "complete")); err != nil {
		t.Skipf("%s is not there: deploy/filtertest/install-peers fetches it on Debian", name)
	}
	work := t.TempDir()
	for _, dir := range []string{"root", "files"} {
		if err := os.Mkdir(filepath.Join(work, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files["etc/resolv.conf"] = "nameserver " + namesAddress + "\n"
	for file, text := range files {
		file = filepath.Join(work, "files", file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("enter-filter")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{name: name, log: filepath.Join(work, "log")}
	args := append([]string{"--mount", "--pid", "--fork", "--kill-child", script, filepath.Join(cache, name, "tree"), work}, command...)
	d.cmd = exec.Command("unshare", args...)
	d.run(t)
	await(t, name+" listens", func() error {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return fmt.Errorf("%w; it says:\n%s", err, d.said())
		}
		return c.Close()
	})
	return d
}

func (d *daemon) run(t *testing.T) {
	t.Helper()
	log, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has its own
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", d.name, d.said())
		}
	})
}

// kill ends the filter at once.
func (d *daemon) kill() {
	d.end.Do(func() {
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
		_ = d.cmd.Wait()
	})
}

// said is the end of what a filter wrote.
func (d *daemon) said() string {
	data, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-4000):])
}

// await tries until there is no error.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: never; at the end: %v", what, err)
}
