// Conformance runs every IMAP story and prints what each announced capability rests on: the RFC, the
// stories that are about it, and whether they passed. `make imap-conformance` runs it from the top
// folder. Which story is about what stands in the stories themselves, in remark lines such as
// "# RFC 8508: REPLACE"; there is no other list.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	clients := flag.Bool("clients", false, "tell the stories of real clients too; needs bin/rookery and the clients")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Runs every IMAP story and prints extension, RFC, stories and result.\n\nExample: go run ./deploy/conformance -clients")
		flag.PrintDefaults()
	}
	flag.Parse()
	passed, err := report(os.Stdout, *clients)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// report runs the stories in the working folder and prints the table. It tells whether all passed.
func report(w io.Writer, clients bool) (passed bool, err error) {
	all, err := stories(".")
	if err != nil {
		return false, err
	}
	names, err := announced(".")
	if err != nil {
		return false, err
	}
	results := outcomes{}
	if err := results.run("imapd/engine", "TestTranscripts", nil); err != nil {
		return false, err
	}
	if err := results.run("imapd", ".", nil); err != nil {
		return false, err
	}
	if clients {
		env := []string{"ROOKERY_E2E=1", "ROOKERY_E2E_CLIENTS=1"}
		if err := results.run("deploy/e2etest", "TestOneNode|TestClients", env); err != nil {
			return false, err
		}
	}
	passed = table(w, names, all, results)
	for _, key := range results.keys() {
		test := strings.TrimPrefix(key, "deploy/e2etest ")
		if test != key && strings.Contains(test, "/") {
			fmt.Fprintf(w, "client story %s: %s\n", test, results[key])
		}
	}
	for _, key := range results.keys() {
		if results[key] == "fail" {
			fmt.Fprintf(w, "failed: %s\n", key)
			passed = false
		}
	}
	return passed, nil
}

// table prints a row for each capability and tells whether each has stories that all passed.
func table(w io.Writer, names []string, all []story, results outcomes) bool {
	passed := true
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "extension\tRFC\tstories\tresult")
	for _, name := range names {
		var texts, tests []string
		result := "pass"
		for _, s := range all {
			for _, c := range s.about {
				if c.capability != name {
					continue
				}
				texts = append(texts, strings.TrimPrefix(c.text, "RFC "))
				tests = append(tests, strings.TrimPrefix(s.test, "TestTranscripts/"))
				if got := results[s.pkg+" "+s.test]; got != "pass" {
					result = "FAIL"
				}
			}
		}
		if tests == nil {
			result = "NO STORY"
		}
		passed = passed && result == "pass"
		slices.Sort(texts)
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\n", name, strings.Join(slices.Compact(texts), ", "), strings.Join(tests, ", "), result)
	}
	columns.Flush()
	return passed
}

// outcomes are the results of tests ("pass", "fail" or "skip") by "package test".
type outcomes map[string]string

func (o outcomes) keys() []string {
	var out []string
	for key := range o {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// run runs tests of a package and notes how they went. That one fails is no error.
func (o outcomes) run(pkg, tests string, env []string) error {
	cmd := exec.Command("go", "test", "-count", "1", "-timeout", "15m", "-json", "-run", tests, "./"+pkg)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run the stories of %s: %w", pkg, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run the stories of %s: %w", pkg, err)
	}
	told := 0
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var event struct{ Action, Test string }
		if json.Unmarshal(scanner.Bytes(), &event) != nil || event.Test == "" {
			continue
		}
		switch event.Action {
		case "pass", "fail", "skip":
			o[pkg+" "+event.Test] = event.Action
			told++
		}
	}
	err = cmd.Wait()
	if told == 0 {
		return fmt.Errorf("run the stories of %s: none ran: %v", pkg, err)
	}
	if err != nil { // a test that ended the process has no event of its own
		o[pkg+" (the package)"] = "fail"
	}
	return nil
}
