// Command rookery-bench measures a running mail server. So far it has one scenario, delivery of equal
// messages by SMTP.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rookery-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("rookery-bench", flag.ContinueOnError)
	targets := flags.String("targets", "127.0.0.1:25", "SMTP servers, host:port, separated by commas")
	recipients := flags.String("recipients", "", "who the messages go to in turn, separated by commas")
	pids := flags.String("pids", "", "process ids of the servers, for CPU time, separated by commas")
	messages := flags.Int("messages", 10_000, "how many messages")
	connections := flags.Int("connections", 20, "how many connections")
	size := flags.Int("size", 4096, "octets of each message")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var servers []int
	for _, p := range split(*pids) {
		pid, err := strconv.Atoi(p)
		if err != nil {
			return fmt.Errorf("-pids %q: use numbers", *pids)
		}
		servers = append(servers, pid)
	}
	before, err := load.CPU(servers)
	if err != nil {
		return err
	}
	result, err := load.Delivery{Targets: split(*targets), Recipients: split(*recipients), Messages: *messages,
		Connections: *connections, Size: *size}.Run(ctx)
	if err != nil {
		return err
	}
	after, err := load.CPU(servers)
	if err != nil {
		return err
	}
	report(result, after-before)
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func report(r load.Result, cpu time.Duration) {
	slices.Sort(r.Latencies)
	at := func(q float64) time.Duration { return r.Latencies[int(q*float64(len(r.Latencies)-1))] }
	fmt.Printf("accepted=%d messages_per_second=%.0f cpu_seconds_per_1000=%.3f p50=%v p90=%v p99=%v p999=%v\n",
		r.Accepted, float64(r.Accepted)/r.Elapsed.Seconds(), cpu.Seconds()/float64(r.Accepted)*1000,
		at(.5), at(.9), at(.99), at(.999))
}
