package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func blobKeyCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "The keys that bodies in object storage are encrypted with",
		Long: "Each pack has a key of its own, sealed under a key of the cluster. The cluster's keys are in the directory,\n" +
			"on every node. Keep an export of them where no node is: without it a bucket alone cannot be read.",
		Example: "  rookery blob key export --out /root/rookery-blob-keys\n  rookery blob key rotate"}
	cmd.AddCommand(blobKeyList(o), blobKeyRotate(o), blobKeyRetire(o), blobKeyExport(o), blobKeyImport(o))
	return cmd
}

func blobKeyList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys, without their secrets, and how many packs are under each", Example: "  rookery blob key list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var keys []adminapi.BlobKey
			if err := call("GET", "/v1/blobs/keys", nil, &keys); err != nil {
				return err
			}
			return o.print(cmd, keys, func(p *printer) {
				p.row("KEY", "CREATED", "PACKS", "")
				for _, k := range keys {
					p.row(k.ID, k.Created.Format("2006-01-02 15:04"), k.Packs, keyState(k))
				}
			})
		}),
	}
}

func keyState(k adminapi.BlobKey) string {
	switch {
	case k.Current:
		return "encrypts new packs"
	case k.Retiring && k.Packs > 0:
		return "is being retired: its packs are rewritten"
	case k.Retiring:
		return "is being retired"
	}
	return ""
}

func blobKeyRotate(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Make a new key for the packs to come", Args: cobra.NoArgs,
		Long:    "Make a new key for the packs to come. The packs that are there stay under their keys until `rookery blob key retire`.",
		Example: "  rookery blob key rotate && rookery blob key export --out /root/rookery-blob-keys",
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var k adminapi.BlobKey
			if err := call("POST", "/v1/blobs/keys", nil, &k); err != nil {
				return err
			}
			return o.print(cmd, k, func(p *printer) {
				p.line("Key %s encrypts new packs. Export the keys again: `rookery blob key export --out FILE`.", k.ID)
			})
		}),
	}
}

func blobKeyRetire(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "retire KEY", Short: "Have all packs under an old key written anew, and the key forgotten",
		Long: "Have all packs under an old key written anew under the current one, in the background. The key is\n" +
			"forgotten when the last object under it is deleted, after the grace time.",
		Example: "  rookery blob key retire 0f1e2d3c4b5a6978", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("POST", "/v1/blobs/keys/"+url.PathEscape(args[0])+"/retire", nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Packs under key %s are written anew. `rookery blob key list` shows how many are left.", args[0])
		}),
	}
}

func blobKeyExport(o *options) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the keys with their secrets to a file, for safe keeping",
		Long: "Write the keys with their secrets to a file that must not be there yet, or to the standard output with\n" +
			"--out -. Who has it and the bucket can read all mail. `rookery recover` takes it as --key-file.",
		Example: "  rookery blob key export --out /root/rookery-blob-keys", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var secrets adminapi.BlobSecrets
			if err := call("GET", "/v1/blobs/secrets", nil, &secrets); err != nil {
				return err
			}
			if out == "-" {
				_, err := io.WriteString(cmd.OutOrStdout(), secrets.Text)
				return err
			}
			if err := writeSecret(out, secrets.Text); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
			return o.say(cmd, "The keys are in %s. Keep it where no node of the cluster is.", out)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "the file, or - for the standard output")
	_ = cmd.MarkFlagRequired("out") // the flag is there
	return cmd
}

// writeSecret writes a new file that nobody else may read.
func writeSecret(path, text string) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Sync(), f.Close())
}

func blobKeyImport(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Take keys back that were exported",
		Long:    "Take keys back that were exported, from a file or with - from the standard input. Keys that are there stay.",
		Example: "  rookery blob key import /root/rookery-blob-keys", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(filepath.Clean(args[0]))
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			text, err := io.ReadAll(io.LimitReader(in, 1<<20))
			if err != nil {
				return fmt.Errorf("read the keys: %w", err)
			}
			if err := call("POST", "/v1/blobs/secrets", adminapi.BlobSecrets{Text: string(text)}, nil); err != nil {
				return err
			}
			return o.say(cmd, "The keys are in the directory.")
		}),
	}
}
