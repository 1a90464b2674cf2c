package gc_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/gc"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata")

// TestPlans runs each file of testdata: lines with "> " tell of packs, "> plan MODE AFTER" gives the
// plan. With -update the outputs are rewritten; read them before a commit.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &story{t: t, policy: gc.Policy{Target: 32 << 20}}
			var out strings.Builder
			for line := range strings.Lines(string(data)) {
				switch {
				case strings.HasPrefix(line, "> "):
					out.WriteString(line + s.run(strings.Fields(line[2:])))
				case strings.HasPrefix(line, "#") || line == "\n":
					out.WriteString(line)
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(data) {
				t.Errorf("%s tells another story; got:\n%s", file, out.String())
			}
		})
	}
}

type story struct {
	t      *testing.T
	policy gc.Policy
	packs  []blobstore.PackInfo
}

// run executes one line:
//
//	pack NUMBER STATE LIVE DEAD [bodies=N] [key=N] [since=HOURS]   octets with K or M
//	retire KEY
//	grace HOURS
//	plan MODE HOURS
func (s *story) run(words []string) string {
	switch words[0] {
	case "pack":
		s.packs = append(s.packs, s.pack(words[1:]))
	case "retire":
		key := blobstore.KeyID{byte(s.number(words[1]))}
		s.policy.Retired = func(id blobstore.KeyID) bool { return id == key }
	case "grace":
		s.policy.Grace = time.Duration(s.number(words[1])) * time.Hour
	case "plan":
		modes := map[string]blobstore.Mode{"embedded": blobstore.Embedded, "listing": blobstore.Listing,
			"packed": blobstore.Packed, "homing": blobstore.Homing}
		plan := s.policy.Plan(modes[words[1]], s.packs, at(s.number(words[2])))
		if len(plan.Delete)+len(plan.Rewrite) == 0 {
			return "nothing\n"
		}
		return plan.String()
	default:
		s.t.Fatalf("no such line: %q", words)
	}
	return ""
}

func (s *story) pack(words []string) blobstore.PackInfo {
	states := map[string]blobstore.PackState{"open": blobstore.PackOpen, "whole": blobstore.PackWhole, "doomed": blobstore.PackDoomed}
	info := blobstore.PackInfo{
		Number: uint64(s.number(words[0])), State: states[words[1]], Since: at(0),
		LiveBytes: uint64(s.number(words[2])), DeadBytes: uint64(s.number(words[3])), LiveBodies: 100,
	}
	if info.LiveBytes == 0 {
		info.LiveBodies = 0
	}
	for _, w := range words[4:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "bodies":
			info.LiveBodies = uint64(s.number(value))
		case "key":
			info.Key = blobstore.KeyID{byte(s.number(value))}
		case "since":
			info.Since = at(s.number(value))
		default:
			s.t.Fatalf("no such word: %q", w)
		}
	}
	return info
}

func (s *story) number(word string) int {
	factor := 1
	switch {
	case strings.HasSuffix(word, "M"):
		factor = 1 << 20
	case strings.HasSuffix(word, "K"):
		factor = 1 << 10
	}
	n, err := strconv.Atoi(strings.TrimRight(word, "KM"))
	if err != nil {
		s.t.Fatal(fmt.Errorf("number %q: %w", word, err))
	}
	return n * factor
}

func at(hour int) time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(hour) * time.Hour) }
