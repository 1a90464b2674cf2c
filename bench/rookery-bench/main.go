// Command rookery-bench measures mail systems: a cluster of Rookery nodes started from a binary, a server that
// runs somewhere, two builds of Rookery against each other, Rookery against Postfix and Dovecot. docs/bench.md
// describes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes, for scripts.
const (
	exitError     = 1 // nothing was measured, or a promise was broken
	exitWorse     = 2 // compare: B is worse than A
	exitNoVerdict = 3 // compare: the noise hides the answer
)

// codeError carries an exit code other than 1.
type codeError struct {
	code int
	text string
}

// Error is the text.
func (e *codeError) Error() string { return e.text }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "rookery-bench:", err)
	stop()
	code := exitError
	if e := (*codeError)(nil); errors.As(err, &e) {
		code = e.code
	}
	os.Exit(code)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rookery-bench",
		Short: "Measure mail systems, and say whether a new build may be installed",
		Long: "rookery-bench starts real clusters, or drives servers that run already, by SMTP and IMAP, and\n" +
			"reports rates, latencies, CPU, fsyncs, bytes written and memory.",
		Example: "  rookery-bench run deliver-4k --nodes 3\n" +
			"  rookery-bench compare bin/rookery-old bin/rookery deliver-4k imap-5k --html report.html\n" +
			"  rookery-bench peers",
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.AddCommand(listCommand(), runCommand(), compareCommand(), rehearseCommand(), peersCommand(), goalsCommand(), floorCommand())
	return cmd
}
