package directory_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestStories runs each file of testdata/story: a line is executed, and what came of it is indented
// below. Empty lines and those with # are kept.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/story/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newTeller().tell(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s differs; got:\n%s", file, got)
			}
		})
	}
}

// teller executes the lines of a story.
type teller struct {
	store   *directorytest.Store
	machine *directory.Machine
	now     time.Time
	index   cluster.LogIndex
}

func newTeller() *teller {
	return &teller{
		store: &directorytest.Store{}, machine: directory.New(),
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func (s *teller) tell(story string) string {
	var out strings.Builder
	for line := range strings.Lines(story) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for answer := range strings.Lines(s.line(line)) {
			fmt.Fprintf(&out, "  %s\n", strings.TrimRight(answer, "\n"))
		}
	}
	return out.String()
}

func (s *teller) line(line string) string {
	words := strings.Fields(line)
	verb, args := words[0], newArgs(words[1:])
	if verb == "wait" {
		d, err := time.ParseDuration(args.at(0))
		s.now = s.now.Add(d)
		return show("", err)
	}
	if read, ok := reads()[verb]; ok {
		text, err := read(directory.View{R: s.store}, args)
		return show(text, err)
	}
	write, ok := writes()[verb]
	if !ok {
		return "the story has no verb " + verb
	}
	c, err := write(args)
	if err != nil {
		return show("", err)
	}
	return s.execute(c)
}

func (s *teller) execute(c command.Command) string {
	s.index++
	c.Index, c.Time = s.index, s.now
	binary.BigEndian.PutUint64(c.ID[:], uint64(s.index))
	before := s.store.Snapshot()
	data, err := s.machine.Execute(s.store, c)
	if err != nil {
		return "HALT " + err.Error()
	}
	result, err := directory.DecodeResult(data)
	if err != nil {
		if !equalStores(before, s.store) {
			return "BROKEN: refused, but wrote: " + err.Error()
		}
		return show("", err)
	}
	text := "ok"
	if result.Account != 0 {
		text += fmt.Sprintf(" account=%d partition=%v", result.Account, result.Partition)
	}
	if result.Version != 0 {
		text += fmt.Sprintf(" version=%d", result.Version)
	}
	return text
}

// show names the sentinel of an error, since that is what callers act on.
func show(text string, err error) string {
	if err == nil {
		return text
	}
	for name, sentinel := range map[string]error{
		"ErrInvalid": directory.ErrInvalid, "ErrNotFound": directory.ErrNotFound, "ErrNoDomain": directory.ErrNoDomain,
		"ErrNoUser": directory.ErrNoUser, "ErrExists": directory.ErrExists, "ErrInUse": directory.ErrInUse,
		"ErrConflict": directory.ErrConflict, "ErrTokenExpired": directory.ErrTokenExpired,
		"ErrTokenUsed": directory.ErrTokenUsed, "ErrNotInitialised": directory.ErrNotInitialised,
	} {
		if errors.Is(err, sentinel) {
			return name + ": " + err.Error()
		}
	}
	return "ERROR: " + err.Error()
}

func equalStores(a, b *directorytest.Store) bool {
	return bytes.Equal(dump(a), dump(b))
}

// dump is all keys and values of a store.
func dump(s *directorytest.Store) []byte {
	var out []byte
	it, err := s.Scan(nil, nil)
	if err != nil {
		panic(err)
	}
	defer it.Close()
	for valid := it.First(); valid; valid = it.Next() {
		value, _ := it.Value()
		out = fmt.Appendf(out, "%x = %x\n", it.Key(), value)
	}
	return out
}
