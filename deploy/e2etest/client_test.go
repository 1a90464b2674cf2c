package e2etest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// output is what a client said.
type output struct {
	t      *testing.T
	what   string
	text   string // standard output and error, with LF line ends
	status int
}

// run runs a client to its end, with its home in dir. It fails the story only if the client cannot be
// run or does not end.
func run(t *testing.T, dir, stdin, name string, args ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8", "TERM=xterm", "COLUMNS=200", "USER=story"}
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	o := output{t: t, what: name + " " + strings.Join(args, " "), text: strings.ReplaceAll(string(text), "\r\n", "\n")}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		o.status = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("%s: %v\n%s", o.what, err, o.text)
	}
	return o
}

// ok expects that the client was content.
func (o output) ok() output {
	o.t.Helper()
	return o.exits(0)
}

// exits expects an exit status.
func (o output) exits(status int) output {
	o.t.Helper()
	if o.status != status {
		o.t.Fatalf("%s: exit status %d, want %d\n%s", o.what, o.status, status, o.text)
	}
	return o
}

// says expects that every one of texts was printed.
func (o output) says(texts ...string) output {
	o.t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.text, text) {
			o.t.Fatalf("%s: did not say %q:\n%s", o.what, text, o.text)
		}
	}
	return o
}

// hides expects that none of texts was printed.
func (o output) hides(texts ...string) output {
	o.t.Helper()
	for _, text := range texts {
		if strings.Contains(o.text, text) {
			o.t.Fatalf("%s: said %q:\n%s", o.what, text, o.text)
		}
	}
	return o
}
