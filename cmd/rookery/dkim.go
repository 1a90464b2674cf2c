package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func dkimCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "dkim", Short: "The keys that mail of your domains is signed with",
		Long: "Each domain has an RSA and an Ed25519 key (RFC 6376, RFC 8463), made by the cluster. A key signs once DNS publishes it, and\n" +
			"has a successor after dkim_rotation_days. Publish what `rookery dkim list` shows as waiting; take a record out of DNS\n" +
			"when its key is removable. Until a successor is in DNS the old key goes on signing.",
		Example: "  rookery dkim list\n  rookery dkim add example.org --selector s2024 --key-file /etc/opendkim/keys/example.org/s2024.private"}
	cmd.AddCommand(dkimList(o), dkimAdd(o), dkimRotate(o),
		dkimVerb(o, "activate", "Have a key sign now, whether DNS publishes it or not", "Have a key sign now, in the place of the one before it, whether DNS publishes it or not.",
			"Key %s of %s signs."),
		dkimVerb(o, "retire", "Have a key sign no more", "Have a key sign no more. Its record has to stay in DNS for 14 days, for the mail that is on its way. While the setting\n"+
			"dkim is on, a domain without a key of the kind gets a new one.", "Key %s of %s signs no more. Leave its record in DNS until `rookery dkim list` shows it as removable."),
		dkimRemove(o), dkimExport(o))
	return cmd
}

func dkimPath(args []string, verb string) string {
	path := "/v1/dkim/" + url.PathEscape(args[0])
	if len(args) > 1 {
		path += "/" + url.PathEscape(args[1])
	}
	return path + verb
}

func dkimList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list [DOMAIN]", Short: "List the keys, what DNS shows of them, and the records to publish", Args: cobra.MaximumNArgs(1),
		Long: "List the keys and what DNS shows of them, with the records of those that are not published.\n\n" +
			"  waiting    it signs once its record is in DNS\n  signing\n  retiring   it signs no more; its record has to stay in DNS\n" +
			"  removable  its record may be taken out of DNS; the key is forgotten then, or after 30 days",
		Example: "  rookery dkim list example.org",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			query := ""
			if len(args) > 0 {
				query = "?domain=" + url.QueryEscape(args[0])
			}
			var keys []adminapi.DKIMKey
			if err := call("GET", "/v1/dkim"+query, nil, &keys); err != nil {
				return err
			}
			return o.print(cmd, keys, func(p *printer) {
				p.row("DOMAIN", "SELECTOR", "ALGORITHM", "STATE", "IN DNS", "CREATED")
				for _, k := range keys {
					p.row(k.Domain, k.Selector, k.Algorithm, k.State, k.DNS, k.Created.Format("2006-01-02"))
				}
				for _, k := range keys {
					if k.DNS != "published" && k.State != "removable" {
						printRecord(p, k)
					}
				}
			})
		}),
	}
}

// printRecord prints the record that publishes a key as a line of a zone file.
func printRecord(p *printer, k adminapi.DKIMKey) {
	text := ""
	for rest := k.Record; rest != ""; {
		n := min(len(rest), 255) // octets of a string (RFC 1035, section 3.3)
		text += fmt.Sprintf(" %q", rest[:n])
		rest = rest[n:]
	}
	p.line("\n%s. IN TXT%s", k.Name, text)
}

func dkimAdd(o *options) *cobra.Command {
	var in adminapi.NewDKIMKey
	var file string
	cmd := &cobra.Command{
		Use: "add DOMAIN", Short: "Make a key, or take one that you have", Args: cobra.ExactArgs(1),
		Long: "Make a key that waits for its record in DNS, or take the private key of a PEM file (- is the standard input) as\n" +
			"OpenDKIM, rspamd or OpenSSL wrote it. With the selector that it has in DNS already, it signs within minutes.",
		Example: "  rookery dkim add example.org --selector s2024 --key-file /etc/opendkim/keys/example.org/s2024.private",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			in.Domain = args[0]
			if file != "" {
				text, err := readSecret(cmd, file)
				if err != nil {
					return fmt.Errorf("--key-file: %w", err)
				}
				in.PrivateKey = text
			}
			var k adminapi.DKIMKey
			if err := call("POST", "/v1/dkim", in, &k); err != nil {
				return err
			}
			return o.print(cmd, k, func(p *printer) {
				p.line("Key %s of %s signs once DNS has this record:", k.Selector, k.Domain)
				printRecord(p, k)
			})
		}),
	}
	cmd.Flags().StringVar(&in.Algorithm, "algorithm", "", "rsa (default) or ed25519")
	cmd.Flags().StringVar(&in.Selector, "selector", "", "its name in DNS (default: one is chosen)")
	cmd.Flags().StringVar(&file, "key-file", "", "a PEM file with the private key")
	return cmd
}

// readSecret reads a small file, - is the standard input.
func readSecret(cmd *cobra.Command, path string) (string, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(filepath.Clean(path))
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 64<<10))
	return string(text), err
}

func dkimRotate(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "rotate DOMAIN", Short: "Make a successor of each kind now", Args: cobra.ExactArgs(1),
		Long:    "Make a successor of each kind now. Each signs, and the key before it retires, once its record is in DNS.",
		Example: "  rookery dkim rotate example.org",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var keys []adminapi.DKIMKey
			if err := call("POST", dkimPath(args, "/rotate"), nil, &keys); err != nil {
				return err
			}
			return o.print(cmd, keys, func(p *printer) {
				p.line("The new keys of %s sign once DNS has these records:", args[0])
				for _, k := range keys {
					printRecord(p, k)
				}
			})
		}),
	}
}

func dkimVerb(o *options, verb, short, long, said string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " DOMAIN SELECTOR", Short: short, Long: long, Example: "  rookery dkim " + verb + " example.org rk202611r", Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("POST", dkimPath(args, "/"+verb), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, said, args[1], args[0])
		}),
	}
}

func dkimRemove(o *options) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "remove DOMAIN SELECTOR", Short: "Forget a key that waits or is removable", Example: "  rookery dkim remove example.org rk202605r", Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			query := ""
			if force {
				query = "?force=true"
			}
			if err := call("DELETE", dkimPath(args, query), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Key %s of %s is forgotten. Take its record out of DNS.", args[1], args[0])
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also one that signs or signed lately, as when it was stolen")
	return cmd
}

func dkimExport(o *options) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "export DOMAIN SELECTOR", Short: "Write a private key to a file", Args: cobra.ExactArgs(2),
		Long: "Write a private key in PEM to a file that must not be there yet, or to the standard output with --out -. Who has it can\n" +
			"write mail in the name of the domain. Only the node's own socket gives it, not the admin API over TLS.",
		Example: "  rookery dkim export example.org rk202611r --out /root/rk202611r.pem",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var s adminapi.DKIMSecret
			if err := call("GET", dkimPath(args, "/secret"), nil, &s); err != nil {
				return err
			}
			if out == "-" {
				_, err := io.WriteString(cmd.OutOrStdout(), s.PrivateKey)
				return err
			}
			if err := writeSecret(out, s.PrivateKey); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
			return o.say(cmd, "The key is in %s.", out)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "the file, or - for the standard output")
	_ = cmd.MarkFlagRequired("out") // the flag is there
	return cmd
}
