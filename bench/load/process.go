package load

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: Linux has used 100 to the second on every
// architecture that Go runs on.
const clockTick = time.Second / 100

// Usage is what processes and all of their descendants have used. Children that ended count with the
// parent that waited for them, so servers that fork for every connection are counted in full.
type Usage struct {
	CPU     time.Duration // user and system
	Written int64         // octets sent to the disk
	Memory  int64         // anonymous and shared octets resident now; program text is not counted
}

// Sub is what was used since an earlier reading; memory is that of now.
func (u Usage) Sub(before Usage) Usage {
	return Usage{CPU: u.CPU - before.CPU, Written: u.Written - before.Written, Memory: u.Memory}
}

// ErrGone is returned when a process that was to be measured has ended.
var ErrGone = errors.New("the server's process has ended")

// Measure adds up the trees of the given processes. ErrGone when one of them does not exist.
func Measure(roots []int) (Usage, error) {
	children, err := processTree()
	if err != nil {
		return Usage{}, err
	}
	var total Usage
	for _, root := range roots {
		u, err := measureOne(root)
		if err != nil {
			return Usage{}, fmt.Errorf("process %d: %w", root, ErrGone)
		}
		total = total.add(u)
		for queue := children[root]; len(queue) > 0; queue = queue[1:] {
			if u, err := measureOne(queue[0]); err == nil { // one that just ended counts with its parent
				total = total.add(u)
			}
			queue = append(queue, children[queue[0]]...)
		}
	}
	return total, nil
}

// Descendants are all processes below root, root not among them.
func Descendants(root int) ([]int, error) {
	children, err := processTree()
	if err != nil {
		return nil, err
	}
	var out []int
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		out = append(out, queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return out, nil
}

func (u Usage) add(o Usage) Usage {
	return Usage{CPU: u.CPU + o.CPU, Written: u.Written + o.Written, Memory: u.Memory + o.Memory}
}

// processTree maps each process to its children.
func processTree() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	out := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it ended
		}
		if s, err := parseStat(data); err == nil {
			out[s.parent] = append(out[s.parent], pid)
		}
	}
	return out, nil
}

func measureOne(pid int) (Usage, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	data, err := os.ReadFile(dir + "stat")
	if err != nil {
		return Usage{}, fmt.Errorf("read the CPU time: %w", err)
	}
	s, err := parseStat(data)
	if err != nil {
		return Usage{}, err
	}
	if s.state == "Z" {
		return Usage{}, fmt.Errorf("read the CPU time: %w", fs.ErrNotExist)
	}
	u := Usage{CPU: s.cpu}
	if data, err = os.ReadFile(dir + "io"); err == nil { // another user's process says nothing
		u.Written = field(data, "write_bytes:") - field(data, "cancelled_write_bytes:")
	}
	if data, err = os.ReadFile(dir + "status"); err == nil {
		u.Memory = (field(data, "RssAnon:") + field(data, "RssShmem:")) << 10
	}
	return u, nil
}

// stat is what is read of /proc/PID/stat (proc(5)).
type stat struct {
	state  string
	parent int
	cpu    time.Duration // of the process and of children that it waited for
}

func parseStat(data []byte) (stat, error) {
	// The name in parentheses may hold anything; the fields after the last one do not.
	i := bytes.LastIndex(data, []byte(") "))
	if i < 0 {
		return stat{}, errors.New("not a stat line")
	}
	fields := strings.Fields(string(data[i+2:]))
	if len(fields) < 15 {
		return stat{}, errors.New("not a stat line: too short")
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, fmt.Errorf("not a stat line: %w", err)
	}
	s := stat{state: fields[0], parent: parent}
	for _, f := range fields[11:15] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("not a stat line: %w", err)
		}
		s.cpu += time.Duration(ticks) * clockTick
	}
	return s, nil
}

// field is the number after a name at the start of a line, 0 where there is none.
func field(data []byte, name string) int64 {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			words := bytes.Fields(rest)
			if len(words) == 0 {
				return 0
			}
			n, _ := strconv.ParseInt(string(words[0]), 10, 64) // 0 says the same
			return n
		}
	}
	return 0
}
