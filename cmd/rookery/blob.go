package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func blobCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "blob", Short: "Bodies in object storage",
		Long: "Bodies of messages are kept on the nodes' disks, or in an object store with nothing but what is\n" +
			"fresh on the disks. `rookery blob use` changes that for the whole cluster, while it serves; what is\n" +
			"there already moves in the background.",
		Example: "  rookery blob use s3://mail/rookery --endpoint https://s3.example.org --credentials-file /etc/rookery/s3.credentials\n" +
			"  rookery blob status"}
	cmd.AddCommand(blobUse(o), blobSet(o), blobStatus(o), blobStats(o), blobFlush(o), blobCollect(o), blobVerify(o), blobKeyCommand(o))
	cmd.PersistentFlags().Var(formatFlag{o}, "format", "text, or json as with --json")
	return cmd
}

// formatFlag is --format, another name of --json.
type formatFlag struct{ o *options }

// String implements pflag.Value.
func (f formatFlag) String() string {
	if f.o != nil && f.o.json {
		return "json"
	}
	return "text"
}

// Type implements pflag.Value.
func (formatFlag) Type() string { return "text|json" }

// Set implements pflag.Value.
func (f formatFlag) Set(text string) error {
	if text != "json" && text != "text" {
		return fmt.Errorf("use text or json")
	}
	f.o.json = text == "json"
	return nil
}

func blobUse(o *options) *cobra.Command {
	var moved bool
	cmd := &cobra.Command{
		Use: "use s3://BUCKET/PREFIX|file:///DIRECTORY|embedded", Short: "Say where bodies are to be, for the whole cluster",
		Long: "Say where bodies are to be: in a bucket of an S3-compatible store, in a directory that all nodes share,\n" +
			"or embedded, on the nodes' disks, where they are at first.\n\n" +
			"Each node that serves tries the store before it takes effect: a write, a ranged read, a list and a delete.\n" +
			"Bodies then move in the background, see `rookery blob status`; a restart or another leader goes on where it was.\n" +
			"What is not said stays as it was; said again with the same URL, this changes credentials or the endpoint.",
		Example: "  rookery blob use s3://mail/rookery --endpoint https://s3.example.org --region eu-central-1 \\\n" +
			"      --credentials-file /etc/rookery/s3.credentials --encrypt\n" +
			"  rookery blob use file:///srv/mail-bodies\n" +
			"  rookery blob use embedded",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var s setting.Setting
			if err := call("GET", "/v1/blobs/setting", nil, &s); err != nil {
				return err
			}
			if err := chooseStore(&s, args[0], cmd.Flags()); err != nil {
				return err
			}
			if err := call("PUT", "/v1/blobs/setting", adminapi.BlobUse{Setting: s, Moved: moved, Check: true}, nil); err != nil {
				return err
			}
			if s.Embedded {
				return o.say(cmd, "Bodies come home from %s. `rookery blob status` shows how far it is; keep the store until it says embedded.", s.URL)
			}
			return o.say(cmd, "Bodies go to %s. `rookery blob status` shows how far it is.", s.URL)
		}),
	}
	f := cmd.Flags()
	storeFlags(f)
	f.BoolVar(&moved, "moved", false, "the objects were copied to this place: read them from here")
	tuningFlags(f)
	return cmd
}

func blobSet(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "set", Short: "Change sizes, times and prices of object storage",
		Example: "  rookery blob set --pack-age 6h --staging 50GiB\n  rookery blob set --price-gib-month 0.006 --currency EUR", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var s setting.Setting
			if err := call("GET", "/v1/blobs/setting", nil, &s); err != nil {
				return err
			}
			if s.URL == "" {
				return fmt.Errorf("no object store is in use: begin with `rookery blob use`")
			}
			if err := tune(&s, cmd.Flags()); err != nil {
				return err
			}
			if err := call("PUT", "/v1/blobs/setting", adminapi.BlobUse{Setting: s}, nil); err != nil {
				return err
			}
			return o.say(cmd, "The setting is changed.")
		}),
	}
	tuningFlags(cmd.Flags())
	return cmd
}

// storeFlags say how a store is reached.
func storeFlags(f *pflag.FlagSet) {
	f.String("endpoint", "", "URL of the store, as https://s3.example.org; default: AWS")
	f.String("region", "", "region of the bucket")
	f.String("style", "", "path (endpoint/bucket) or virtual (bucket.endpoint); default: what fits the endpoint")
	f.String("ca-file", "", "PEM file of the authorities that sign the store's certificate; its text goes to all nodes")
	f.Bool("insecure", false, "allow a store on another machine without TLS")
	f.String("credentials", "", "file, env (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of each node's process) or role (the machine's); default: file")
	f.String("credentials-file", "", "path on each node, where its rookery.toml names none (blobs.credentials_file)")
}

func tuningFlags(f *pflag.FlagSet) {
	f.Bool("encrypt", false, "encrypt new packs with a key of the cluster, which is made where there is none (--encrypt=false: no longer)")
	f.String("pack-size", "", "when so much is staged in a partition a pack is made, 8MiB to 64MiB (default 32MiB)")
	f.Duration("pack-age", 0, "after which a pack is made of what there is (default 24h)")
	f.String("staging", "", "how much may wait for the store on a node before mail is put off with 452 (default 20GiB)")
	f.Duration("grace", 0, "how long an object stays that nothing refers to any more (default 72h)")
	f.Float64("price-gib-month", 0, "price of a GiB for a month")
	f.Float64("price-puts", 0, "price of 1,000 PUT or LIST requests")
	f.Float64("price-gets", 0, "price of 1,000 GET or HEAD requests")
	f.Float64("price-egress", 0, "price of a GiB that is read")
	f.String("currency", "", "of the prices")
}

// chooseStore changes s to the store that target and the flags name.
func chooseStore(s *setting.Setting, target string, f *pflag.FlagSet) error {
	if target == "embedded" {
		if s.URL == "" {
			return fmt.Errorf("bodies are embedded already")
		}
		s.Embedded = true
		return tune(s, f)
	}
	if err := nameStore(s, target, f); err != nil {
		return err
	}
	return tune(s, f)
}

// nameStore changes s to the store that target and the flags of storeFlags name.
func nameStore(s *setting.Setting, target string, f *pflag.FlagSet) error {
	if s.URL != target { // what is said of another store does not hold for this one
		s.Endpoint, s.Region, s.Style, s.CA, s.Insecure, s.Credentials, s.CredentialsFile = "", "", "", "", false, "", ""
	}
	s.URL, s.Embedded = target, false
	for name, field := range map[string]*string{"endpoint": &s.Endpoint, "region": &s.Region, "style": &s.Style,
		"credentials": &s.Credentials, "credentials-file": &s.CredentialsFile} {
		if f.Changed(name) {
			*field = f.Lookup(name).Value.String()
		}
	}
	if strings.HasPrefix(target, "s3:") && (s.Credentials == "" || f.Changed("credentials-file") && !f.Changed("credentials")) {
		s.Credentials = setting.CredentialsFile
	}
	if f.Changed("insecure") {
		s.Insecure = f.Lookup("insecure").Value.String() == "true"
	}
	if f.Changed("ca-file") {
		path := f.Lookup("ca-file").Value.String()
		data, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			return fmt.Errorf("--ca-file: %w", err)
		}
		s.CA = string(data)
	}
	return nil
}

// tune changes what the tuning flags say.
func tune(s *setting.Setting, f *pflag.FlagSet) error {
	if f.Changed("encrypt") {
		s.Encrypt = f.Lookup("encrypt").Value.String() == "true"
	}
	for name, field := range map[string]*int64{"pack-size": &s.PackBytes, "staging": &s.StagingBytes} {
		if !f.Changed(name) {
			continue
		}
		n, err := directory.ParseSize(f.Lookup(name).Value.String())
		if err != nil {
			return fmt.Errorf("--%s: %w: write 32MiB or the like", name, err)
		}
		*field = int64(n)
	}
	for name, field := range map[string]*int64{"pack-age": &s.PackAgeSeconds, "grace": &s.GraceSeconds} {
		if d, err := f.GetDuration(name); err != nil {
			return err
		} else if f.Changed(name) {
			*field = int64((d + time.Second - 1) / time.Second)
		}
	}
	for name, field := range map[string]*float64{"price-gib-month": &s.Prices.GiBMonth, "price-puts": &s.Prices.Puts,
		"price-gets": &s.Prices.Gets, "price-egress": &s.Prices.Egress} {
		if price, err := f.GetFloat64(name); err != nil {
			return err
		} else if f.Changed(name) {
			*field, s.Prices.Source = price, "rookery blob set"
		}
	}
	if f.Changed("currency") {
		s.Prices.Currency = f.Lookup("currency").Value.String()
	}
	return nil
}
