package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// shownFaults is how many faults are shown to a person.
const shownFaults = 50

func recoverCommand(o *options) *cobra.Command {
	var in adminapi.Recovery
	var from, keyFile string
	cmd := &cobra.Command{
		Use: "recover --from-bucket s3://BUCKET/PREFIX|file:///DIRECTORY", Short: "Fill a new cluster from the packs of a lost one",
		Long: "For the day all nodes are lost and the object store is left: make a new cluster of one node (`rookery init`,\n" +
			"`rookery serve`), and recover before others join. Accounts, mailboxes and messages come back as the packs say,\n" +
			"with flags as they were when a message was packed last. What was never packed is lost; what was expunged after\n" +
			"it was packed may come back. Nothing in the bucket is changed.\n\n" +
			"It can be run again at any time: it goes on where it was, and appends nothing twice. Accounts that it makes have\n" +
			"no password that anybody knows, and get mail. Aliases, passwords, quotas, rights and settings are in no pack.\n\n" +
			"The exit code is 2 where not all could be recovered: what, the report says.",
		Example: "  rookery recover --from-bucket s3://mail/rookery --endpoint https://s3.example.org \\\n" +
			"      --credentials-file /etc/rookery/s3.credentials --key-file /root/rookery-blob-keys --dry-run\n" +
			"  rookery recover --from-bucket file:///srv/mail-bodies",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Setting = setting.Default()
			if err := nameStore(&in.Setting, from, cmd.Flags()); err != nil {
				return err
			}
			if err := in.Setting.Check(); err != nil {
				return fmt.Errorf("--from-bucket: %w", err)
			}
			if keyFile != "" {
				text, err := os.ReadFile(filepath.Clean(keyFile))
				if err != nil {
					return fmt.Errorf("--key-file: %w", err)
				}
				in.Keys = string(text)
			}
			client, err := o.client()
			if err != nil {
				return err
			}
			return recoverNow(cmd, o, client, in)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from-bucket", "", "where the packs are: what `rookery blob use` was given")
	_ = cmd.MarkFlagRequired("from-bucket") // the flag is there
	storeFlags(f)
	f.StringVar(&keyFile, "key-file", "", "the lost cluster's keys, as `rookery blob key export` wrote them, where packs are encrypted")
	f.StringVar(&in.Cluster, "cluster", "", "id of the lost cluster, where packs of several are in the bucket")
	f.BoolVar(&in.Kept, "with-expunged", false, "messages that had been expunged, and were kept for undelete, come back too")
	f.BoolVar(&in.DryRun, "dry-run", false, "only say what there is")
	return cmd
}

func recoverNow(cmd *cobra.Command, o *options, client *adminapi.Client, in adminapi.Recovery) error {
	last, err := client.Recover(cmd.Context(), in, func(r adminapi.RecoveryReport) {
		if !o.json && !r.Done && r.Error == "" {
			recoveryProgress(cmd.ErrOrStderr(), r)
		}
	})
	if err != nil && last.Packs == 0 {
		return err
	}
	if printed := o.print(cmd, last, func(p *printer) { printRecovery(p, in, last) }); printed != nil {
		return printed
	}
	if err == nil && len(last.Faults) > 0 {
		return exitError{exitDamage, fmt.Errorf("not all could be recovered")}
	}
	return err
}

func recoveryProgress(w io.Writer, r adminapi.RecoveryReport) {
	if r.GroupsDone == 0 && r.Accounts == 0 {
		fmt.Fprintf(w, "%d packs of %d read\n", r.PacksRead, r.Packs)
		return
	}
	fmt.Fprintf(w, "partition %d of %d: %d accounts of %d, %d messages of %d\n",
		min(r.GroupsDone+1, r.Groups), r.Groups, r.AccountsDone, r.Accounts, r.Added+r.Present+r.Lost, r.Messages)
}

func printRecovery(p *printer, in adminapi.Recovery, r adminapi.RecoveryReport) {
	for _, f := range r.Faults[:min(len(r.Faults), shownFaults)] {
		p.line("- %s", plain(f))
	}
	if more := len(r.Faults) - shownFaults + r.MoreFaults; more > 0 {
		p.line("- and %d more: --json shows the first thousand, the node's log all", more)
	}
	p.line("%d packs were read, %d could not be.", r.PacksRead, r.PacksDamaged)
	if in.DryRun {
		p.line("There are %d messages, %d octets, of %d accounts.", r.Messages, r.Bytes, r.Accounts)
		return
	}
	p.line("%d messages of %d were recovered, %d had been before, %d are lost, of %d accounts.",
		r.Added, r.Messages, r.Present, r.Lost, r.Accounts)
	if !r.Done {
		return
	}
	if len(r.Locked) > 0 {
		p.line("%d accounts were made, and nobody knows their passwords. They get mail. For each:", len(r.Locked))
		for _, address := range r.Locked[:min(len(r.Locked), shownFaults)] {
			p.line("  rookery account password %s", plain(address))
		}
		if more := len(r.Locked) - shownFaults; more > 0 {
			p.line("  and %d more: `rookery account list` shows all", more)
		}
	}
	p.line("Aliases, quotas, rights and settings are in no pack: make them anew. For bodies in object storage use another prefix:")
	p.line("  rookery blob use ...")
	p.line("Keep the old packs until you have seen that all is there.")
}
