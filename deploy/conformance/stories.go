package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// story is one test that speaks IMAP, and the capabilities that its remarks say it is about.
type story struct {
	pkg   string // folder of the package
	test  string // as `go test -run` takes it, with / before a subtest
	about []claim
}

// claim is one remark line: "RFC 8508: REPLACE".
type claim struct {
	text       string // "RFC 8508", or the name of a draft
	capability string
}

var (
	remark = regexp.MustCompile(`^(?:#|//) (RFC [0-9]+|draft-[a-z0-9-]+): ([A-Za-z0-9=+ -]+)$`)
	goTest = regexp.MustCompile(`^func (Test\w*)\(`)
)

// stories reads the remarks of all stories under root: of the conversations of the engine, but those of
// clients, which are about no capability, and of the Go tests of imapd, where they end the comment of the test.
func stories(root string) ([]story, error) {
	var all []story
	data := filepath.Join(root, "imapd", "engine", "testdata")
	files, err := filepath.Glob(filepath.Join(data, "*.imap"))
	if err != nil {
		return nil, err
	}
	examples, err := filepath.Glob(filepath.Join(data, "examples", "*.imap"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, examples...) {
		name, err := filepath.Rel(data, file)
		if err != nil {
			return nil, err
		}
		s := story{pkg: "imapd/engine", test: "TestTranscripts/" + strings.TrimSuffix(filepath.ToSlash(name), ".imap")}
		err = lines(file, func(line string) { s.about = append(s.about, claims(line)...) })
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	tests, err := filepath.Glob(filepath.Join(root, "imapd", "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range tests {
		var about []claim
		err := lines(file, func(line string) {
			switch found := goTest.FindStringSubmatch(line); {
			case strings.HasPrefix(line, "//"):
				about = append(about, claims(line)...)
			case found != nil && about != nil:
				all = append(all, story{pkg: "imapd", test: found[1], about: about})
				about = nil
			default:
				about = nil
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no stories under %s", root)
	}
	return all, nil
}

// claims are those of one line.
func claims(line string) []claim {
	found := remark.FindStringSubmatch(line)
	if found == nil {
		return nil
	}
	var out []claim
	for _, capability := range strings.Fields(found[2]) {
		out = append(out, claim{text: found[1], capability: capability})
	}
	return out
}

var (
	announcement = regexp.MustCompile(`(?:\* |\[)CAPABILITY ([^\]]+)`)
	mechanism    = regexp.MustCompile(`^\s+Mechanism\w+\s+= "([A-Z0-9-]+)"`)
)

// announced lists the capabilities that the servers of the conversations tell, which the engine's own
// tests hold to be what it tells, and an AUTH= for each mechanism of package login. What follows = in
// APPENDLIMIT= and the like is no part of the name.
func announced(root string) ([]string, error) {
	seen := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(root, "imapd", "engine", "testdata", "*.imap"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		err := lines(file, func(line string) {
			found := announcement.FindStringSubmatch(line)
			if found == nil || !strings.HasPrefix(line, "S") {
				return
			}
			for _, c := range strings.Fields(found[1]) {
				if name, _, _ := strings.Cut(c, "="); strings.HasSuffix(name, "LIMIT") {
					c = name
				}
				seen[c] = true
			}
		})
		if err != nil {
			return nil, err
		}
	}
	err = lines(filepath.Join(root, "cluster", "directory", "login", "exchange.go"), func(line string) {
		if found := mechanism.FindStringSubmatch(line); found != nil {
			seen["AUTH="+found[1]] = true
		}
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for c := range seen {
		out = append(out, c)
	}
	slices.Sort(out)
	return out, nil
}

// lines gives each line of a file to f.
func lines(file string, f func(string)) error {
	r, err := os.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		f(scanner.Text())
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}
