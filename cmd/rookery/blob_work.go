package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// workPause is between two questions how far a piece of work is.
const workPause = time.Second

// work asks for a piece of work until nothing is left, or the deadline has passed.
func work(cmd *cobra.Command, wait time.Duration, ask func() (adminapi.BlobWork, error)) (adminapi.BlobWork, error) {
	for deadline := time.Now().Add(wait); ; {
		w, err := ask()
		if err != nil || w.Left == 0 && len(w.Problems) == 0 || time.Now().After(deadline) {
			return w, err
		}
		select {
		case <-cmd.Context().Done():
			return w, cmd.Context().Err()
		case <-time.After(workPause):
		}
	}
}

// unfinished is the error of work that is left.
func unfinished(what string, w adminapi.BlobWork) error {
	if w.Left == 0 && len(w.Problems) == 0 {
		return nil
	}
	text := fmt.Sprintf("%d %s of %s are left", w.Left, what, directory.FormatSize(w.Bytes))
	if len(w.Problems) > 0 {
		text += ":\n  " + strings.Join(w.Problems, "\n  ")
	}
	return errors.New(text)
}

func blobFlush(o *options) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "flush", Short: "Pack now what is staged, and wait for it",
		Long: "Pack now what is staged on the nodes, without waiting for the pack size or age, as before a backup of\n" +
			"the bucket. Mail that comes meanwhile may stay staged.",
		Example: "  rookery blob flush", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			w, err := work(cmd, wait, func() (w adminapi.BlobWork, err error) {
				err = call("POST", "/v1/blobs/flush", nil, &w)
				return w, err
			})
			if err = errors.Join(err, unfinished("staged bodies", w)); err != nil {
				return err
			}
			return o.say(cmd, "All bodies are packed.")
		}),
	}
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to wait")
	return cmd
}

func blobCollect(o *options) *cobra.Command {
	var wait, grace time.Duration
	var yes bool
	cmd := &cobra.Command{
		Use: "collect", Short: "Rewrite packs that are half dead and delete objects now that nothing refers to",
		Long: "Rewrite packs of which less than half is alive, and delete objects that nothing refers to any more and\n" +
			"whose grace time has passed, as the cluster does by itself from time to time.\n\n" +
			"--grace deletes earlier than the setting says, which takes the objects away from a node or a session that is\n" +
			"behind, and from a restore of the bucket alone.",
		Example: "  rookery blob collect", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var c adminapi.BlobCollect
			if cmd.Flags().Changed("grace") {
				if !yes {
					return errors.New("a shorter grace time takes objects away that a node which is behind may still read: repeat it with --yes")
				}
				seconds := int64(grace / time.Second)
				c.GraceSeconds = &seconds
			}
			w, err := work(cmd, wait, func() (w adminapi.BlobWork, err error) {
				err = call("POST", "/v1/blobs/collect", c, &w)
				return w, err
			})
			if err = errors.Join(err, unfinished("packs to be rewritten or deleted", w)); err != nil {
				return err
			}
			return o.say(cmd, "Nothing is left to be collected.")
		}),
	}
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to wait")
	cmd.Flags().DurationVar(&grace, "grace", 0, "in place of the setting's grace time")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --grace: really delete earlier")
	return cmd
}

// exitDamage is the exit code of a verification that found damage.
const exitDamage = 2

func blobVerify(o *options) *cobra.Command {
	var rate string
	cmd := &cobra.Command{
		Use: "verify", Short: "Read every pack and hold it against what should be in it",
		Long: "Read every pack whole, hold each body against its checksum and against what the cluster knows of it.\n" +
			"Nothing is repaired. The exit code is 2 where something is damaged or missing, 1 where something could not be read.",
		Example: "  rookery blob verify --rate 20MiB", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			bytes, err := directory.ParseSize(rate)
			if err != nil {
				return fmt.Errorf("--rate: %w: write 20MiB or the like", err)
			}
			all, err := verifyAll(call, int64(bytes))
			if err != nil {
				return err
			}
			if err := o.print(cmd, all, func(p *printer) { printVerified(p, all) }); err != nil || len(all.Problems) == 0 {
				return err
			}
			return exitError{exitDamage, fmt.Errorf("%d problems were found", len(all.Problems))}
		}),
	}
	cmd.Flags().StringVar(&rate, "rate", "0", "read at most so much a second, as 20MiB; 0 is as fast as it goes")
	return cmd
}

// verifyAll goes through the partitions, some packs at a time.
func verifyAll(call caller, rate int64) (all adminapi.BlobVerified, err error) {
	var now adminapi.Blobs
	if err := call("GET", "/v1/blobs", nil, &now); err != nil {
		return all, err
	}
	all.Problems = []string{}
	for _, p := range now.Partitions {
		for ask := (adminapi.BlobVerify{Partition: p.Partition, Rate: rate}); ; {
			var part adminapi.BlobVerified
			if err := call("POST", "/v1/blobs/verify", ask, &part); err != nil {
				return all, fmt.Errorf("partition %d after pack %d: %w", ask.Partition, ask.After, err)
			}
			all.Packs, all.Bodies, all.Bytes = all.Packs+part.Packs, all.Bodies+part.Bodies, all.Bytes+part.Bytes
			all.Problems = slices.Concat(all.Problems, part.Problems)
			if !part.More {
				break
			}
			ask.After = part.After
		}
	}
	return all, nil
}

func printVerified(p *printer, v adminapi.BlobVerified) {
	p.line("%d packs with %d bodies were read, %d octets.", v.Packs, v.Bodies, v.Bytes)
	for _, problem := range v.Problems {
		p.line("! %s", problem)
	}
	if len(v.Problems) == 0 {
		p.line("All is as it should be.")
	}
}
