package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
)

// common are the flags of all commands that run scenarios.
type common struct {
	dir     string
	nodes   int
	corpus  string
	format  string
	out     string
	save    string
	quiet   bool
	options scenario.Options
}

func (c *common) register(cmd *cobra.Command, nodes int) {
	f := cmd.Flags()
	f.IntVar(&c.nodes, "nodes", nodes, "how many nodes a cluster has: 1, 3 or 5")
	f.StringVar(&c.dir, "dir", "", "where the servers' files go while they run (default: the system's temporary directory)")
	f.StringVar(&c.corpus, "corpus", "", "your own mail in place of generated messages: an mbox file or a Maildir")
	f.StringVar(&c.format, "format", "table", "table, json or gobench")
	f.StringVarP(&c.out, "output", "o", "", "write the figures to this file (default: standard output)")
	f.StringVar(&c.save, "save", "", "write the figures as JSON to this file too, for rookery-bench goals")
	f.BoolVar(&c.quiet, "quiet", false, "no progress")
	f.BoolVar(&c.options.Quick, "quick", false, "a tenth of the messages: to see whether it works, not to measure")
	f.IntVar(&c.options.Messages, "messages", 0, "how many messages (default: the scenario's own)")
	f.IntVar(&c.options.Connections, "connections", 0, "how many connections (default: the scenario's own)")
	f.IntVar(&c.options.Accounts, "accounts", 0, "how many accounts (default: the scenario's own)")
	f.IntVar(&c.options.Kills, "kills", 0, "failover: how many nodes are killed, one after the other (default: 20, enough for a p99)")
	f.IntSliceVar(&c.options.Levels, "levels", nil, "growth, scale: numbers of stored messages, ascending")
}

// prepare checks the flags and what the machine allows, and reads the corpus.
func (c *common) prepare() error {
	if c.nodes != 1 && c.nodes != 3 && c.nodes != 5 {
		return fmt.Errorf("--nodes %d: 1, 3 and 5 make sense", c.nodes)
	}
	if c.format != "table" && c.format != "json" && c.format != "gobench" {
		return fmt.Errorf("--format %q: use table, json or gobench", c.format)
	}
	c.options.Run = strconv.FormatInt(time.Now().UnixNano(), 36)
	c.options.Progress = func(format string, args ...any) {
		if !c.quiet {
			fmt.Fprintf(os.Stderr, "  "+format+"\n", args...)
		}
	}
	c.options.Floor = c.startFloor
	if err := raiseFiles(c.options.Connections); err != nil {
		return err
	}
	if c.corpus == "" {
		return nil
	}
	own, err := readCorpus(c.corpus)
	if err != nil {
		return fmt.Errorf("read the corpus %s: %w", c.corpus, err)
	}
	c.options.Own = own
	return nil
}

// raiseFiles lets this process and its servers open as many files as they may, and says so when that
// is not enough for the connections.
func raiseFiles(connections int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	if want := uint64(connections + 1024); limit.Max < want {
		return fmt.Errorf("%d open files are allowed and %d are needed: raise the limit (ulimit -Hn %d)", limit.Max, want, want)
	}
	return nil
}

// maxCorpus bounds what is held of a user's own mail.
const maxCorpus = 1 << 30

// readCorpus reads an mbox file, or a Maildir with its folders.
func readCorpus(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return corpus.SplitMbox(f, maxCorpus)
	}
	var out [][]byte
	total := 0
	err = filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		kind := filepath.Base(filepath.Dir(name))
		if err != nil || d.IsDir() || kind != "cur" && kind != "new" || total > maxCorpus {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		m, err := corpus.Canonical(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		out, total = append(out, m), total+len(m)
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("no message: a Maildir has them in folders named cur and new")
	}
	return out, err
}

// print writes the runs in the wanted format, and fails when a promise was broken.
func (c *common) print(runs []report.Run) (err error) {
	w := os.Stdout
	if c.out != "" {
		if w, err = os.Create(c.out); err != nil {
			return fmt.Errorf("write the figures: %w", err)
		}
		defer func() { err = errors.Join(err, w.Close()) }()
	}
	machine := report.ThisMachine()
	switch c.format {
	case "json":
		err = report.JSON(w, machine, runs)
	case "gobench":
		err = report.GoBench(w, machine, runs)
	default:
		err = report.Table(w, machine, runs)
	}
	if c.save != "" && err == nil {
		err = writeFile(c.save, func(w io.Writer) error { return report.JSON(w, machine, runs) })
	}
	for _, r := range runs {
		if broken := r.Broken(); len(broken) > 0 && err == nil {
			err = fmt.Errorf("%s: %s", r.Scenario, strings.Join(broken, "; "))
		}
	}
	return err
}

// parseAccounts reads ADDRESS:PASSWORD.
func parseAccounts(list []string) ([]load.Login, error) {
	var out []load.Login
	for _, text := range list {
		address, password, ok := strings.Cut(text, ":")
		if !ok || !strings.Contains(address, "@") {
			return nil, fmt.Errorf("--account %q: use ADDRESS:PASSWORD", text)
		}
		out = append(out, load.Login{Address: address, Password: password})
	}
	return out, nil
}
