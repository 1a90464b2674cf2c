//go:build linux

package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// inside names the variable that tells a process of the tests which namespaces are its own.
const inside = "ROOKERY_NETNS_PREFIX"

// TestMain makes the namespaces and has the tests run in that of Rookery, so that what they do of the harness is there.
func TestMain(m *testing.M) {
	if os.Getenv("ROOKERY_NETNS") == "" || os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: network namespaces need root")
		return
	}
	if err := exec.Command("ip", "netns", "list").Run(); err != nil {
		fmt.Println("SKIP: `ip netns` does not work here:", err)
		return
	}
	code, err := enter()
	if err != nil {
		fmt.Println("namespaces for the tests:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// enter runs this process again inside, and takes the namespaces down when it has ended.
func enter() (code int, err error) {
	sweep()
	prefix := fmt.Sprintf("rk%d-", os.Getpid())
	defer func() { err = errors.Join(err, remove(prefix)) }()
	if err := build(prefix); err != nil {
		if strings.Contains(err.Error(), "Operation not permitted") {
			fmt.Println("SKIP: this machine lets nobody make network namespaces:", err)
			return 0, nil
		}
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command("nsenter", append([]string{"--net=" + path(prefix, "rookery"), "--", self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), inside+"="+prefix)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// sweep removes the namespaces of runs that were killed.
func sweep() {
	names, _ := filepath.Glob("/run/netns/rk*-*") // the pattern is a good one
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(name), "rk"), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = ip("netns", "del", filepath.Base(name))
		}
	}
}

// path is a namespace as a file.
func path(prefix, name string) string { return "/run/netns/" + prefix + name }

// ip runs the command of that name.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// hosts are the namespaces, and the last number of the first of their addresses. The sink has twenty.
var hosts = map[string]int{"rookery": 1, "dns": 2, "postfix": 10, "exim": 11, "opensmtpd": 12, "sink": 40}

const sinkAddresses = 20

// v4 and v6 are the addresses with a number.
func v4(n int) string { return fmt.Sprintf("10.83.0.%d", n) }
func v6(n int) string { return fmt.Sprintf("fd83::%d", n) }

// build makes a namespace with a bridge, and one for each host that is plugged into it.
func build(prefix string) error {
	bridge := prefix + "bridge"
	steps := [][]string{{"netns", "add", bridge}, {"-n", bridge, "link", "add", "br0", "type", "bridge"}, {"-n", bridge, "link", "set", "br0", "up"}}
	for name, number := range hosts {
		ns := prefix + name
		steps = append(steps, []string{"netns", "add", ns},
			[]string{"-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", "v-" + name, "netns", bridge},
			[]string{"-n", bridge, "link", "set", "v-" + name, "master", "br0", "up"},
			[]string{"-n", ns, "link", "set", "lo", "up"}, []string{"-n", ns, "link", "set", "eth0", "up"})
		count := 1
		if name == "sink" {
			count = sinkAddresses
		}
		for i := range count {
			steps = append(steps, []string{"-n", ns, "addr", "add", v4(number+i) + "/24", "dev", "eth0"},
				[]string{"-n", ns, "addr", "add", v6(number+i) + "/64", "dev", "eth0", "nodad"})
		}
	}
	for _, args := range steps {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// remove takes the namespaces down.
func remove(prefix string) (err error) {
	names, _ := filepath.Glob(path(prefix, "*")) // the pattern is a good one
	for _, name := range names {
		err = errors.Join(err, ip("netns", "del", filepath.Base(name)))
	}
	return err
}
