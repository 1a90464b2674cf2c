// Command rookery-bench measures mail servers. Without a subcommand it delivers equal messages to running
// servers by SMTP; `rookery-bench scale` starts a node from a binary and measures what must not grow
// with the store.
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
	if len(args) > 0 && args[0] == "scale" {
		return runScale(ctx, args[1:])
	}
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

func runScale(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("rookery-bench scale", flag.ContinueOnError)
	binary := flags.String("binary", "bin/rookery", "the program to measure")
	sizes := flags.String("sizes", "1000,10000,1000000", "messages in the mailbox, ascending, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var numbers []int
	for _, text := range split(*sizes) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-sizes %q: use numbers", *sizes)
		}
		numbers = append(numbers, n)
	}
	return scale(ctx, *binary, numbers)
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
