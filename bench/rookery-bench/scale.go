package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/rookery-mail/rookery/bench/load"
)

// scale measures what must not grow with the store: SELECT, snapshot, restart. It fills one mailbox by
// SMTP and then by COPY, which doubles it until it is large enough.
func scale(ctx context.Context, binary string, sizes []int) (err error) {
	dir, err := os.MkdirTemp("", "rookery-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &load.Server{Binary: binary, Dir: dir, Host: "127.62.0.1"}
	if err := s.Init(ctx); err != nil {
		return err
	}
	if _, err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Kill()
	if err := prepare(ctx, s); err != nil {
		return err
	}
	fmt.Println("messages\tselect_ms\tsnapshot_ms\tstop_ms\tstart_ms\tstart_after_kill_ms")
	for _, size := range sizes {
		if err := fill(ctx, s, size); err != nil {
			return fmt.Errorf("fill the mailbox with %d messages: %w", size, err)
		}
		row, err := measure(ctx, s)
		if err != nil {
			return err
		}
		fmt.Printf("%d\t%.2f\t%.1f\t%.0f\t%.0f\t%.0f\n", size, ms(row.selects), row.snapshot, ms(row.stop), ms(row.start), ms(row.kill))
	}
	_, err = s.Stop(syscall.SIGTERM)
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func prepare(ctx context.Context, s *load.Server) error {
	if _, err := s.Command(ctx, "", "domain", "add", "example.org"); err != nil {
		return err
	}
	_, err := s.Command(ctx, "secret\n", "account", "add", "big@example.org", "--password-stdin")
	if err != nil {
		return err
	}
	_, err = load.Delivery{Targets: []string{s.SMTP()}, Recipients: []string{"big@example.org"}, Messages: 1000, Connections: 8, Size: 4096}.Run(ctx)
	return err
}

// session logs in.
func session(s *load.Server) (*imapclient.Client, error) {
	c, err := imapclient.DialStartTLS(s.IMAP(), &imapclient.Options{TLSConfig: &tls.Config{InsecureSkipVerify: true}})
	if err != nil {
		return nil, fmt.Errorf("connect to IMAP: %w", err)
	}
	if err := c.Login("big@example.org", "secret").Wait(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// fill copies messages of INBOX onto itself until it has size of them.
func fill(ctx context.Context, s *load.Server, size int) error {
	c, err := session(s)
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		box, err := c.Select("INBOX", nil).Wait()
		if err != nil {
			return err
		}
		have := int(box.NumMessages)
		if have >= size {
			return nil
		}
		var set imap.SeqSet
		set.AddRange(1, uint32(min(have, size-have, 100_000)))
		if _, err := c.Copy(set, "INBOX").Wait(); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "  %d messages\n", have)
	}
	return ctx.Err()
}

// row is what was measured at one size.
type row struct {
	selects, stop, start, kill time.Duration
	snapshot                   float64 // milliseconds, of the mailbox's partition
}

func measure(ctx context.Context, s *load.Server) (row, error) {
	var r row
	err := settle(ctx, s)
	if err != nil {
		return r, err
	}
	if r.selects, err = selectTime(s); err != nil {
		return r, err
	}
	if r.snapshot, err = snapshotTime(ctx, s); err != nil {
		return r, err
	}
	if r.stop, err = s.Stop(syscall.SIGTERM); err != nil {
		return r, err
	}
	if r.start, err = s.Start(ctx); err != nil {
		return r, err
	}
	if _, err = s.Stop(syscall.SIGKILL); err != nil {
		return r, err
	}
	r.kill, err = s.Start(ctx)
	return r, err
}

// settle waits until the node is idle: filling a mailbox a thousand times faster than mail comes in
// leaves compactions behind, which are not what is measured here.
func settle(ctx context.Context, s *load.Server) error {
	for range 120 {
		before, err := load.CPU([]int{s.PID()})
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := load.CPU([]int{s.PID()})
		if err != nil {
			return err
		}
		if after-before < 100*time.Millisecond {
			return nil
		}
	}
	return errors.New("the node did not come to rest in two minutes")
}

// selectTime is the median of SELECTs over one connection.
func selectTime(s *load.Server) (time.Duration, error) {
	c, err := session(s)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var times []time.Duration
	for range 101 {
		start := time.Now()
		if _, err := c.Select("INBOX", nil).Wait(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// snapshotTime delivers a little, so that there is something new, and takes snapshots. What filling
// the mailbox left in memory is written down before.
func snapshotTime(ctx context.Context, s *load.Server) (float64, error) {
	if _, err := s.Command(ctx, "", "debug", "snapshot"); err != nil {
		return 0, err
	}
	_, err := load.Delivery{Targets: []string{s.SMTP()}, Recipients: []string{"big@example.org"}, Messages: 100, Connections: 4, Size: 4096}.Run(ctx)
	if err != nil {
		return 0, err
	}
	out, err := s.Command(ctx, "", "debug", "snapshot", "--json")
	if err != nil {
		return 0, err
	}
	var groups []struct {
		Milliseconds float64 `json:"milliseconds"`
		Error        string  `json:"error"`
	}
	if err := json.Unmarshal([]byte(out), &groups); err != nil {
		return 0, fmt.Errorf("read the snapshots: %w", err)
	}
	longest := 0.0
	for _, g := range groups {
		if g.Error == "" {
			longest = max(longest, g.Milliseconds)
		}
	}
	return longest, nil
}
