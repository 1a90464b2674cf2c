// Package config reads rookery.toml: the facts that belong to one node (addresses, data directory,
// region, certificates). What belongs to the cluster is in the directory and set through the CLI.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/rookery-mail/rookery/imapd/engine"
)

// DefaultPath is where the configuration is looked for when nothing else is said.
const DefaultPath = "/etc/rookery/rookery.toml"

// Config is one node's rookery.toml. deploy/rookery.toml comments every field.
type Config struct {
	DataDir string `toml:"data_dir"`
	Node    string `toml:"node"`
	Region  string `toml:"region"`

	Cluster Cluster `toml:"cluster"`
	SMTP    SMTP    `toml:"smtp"`
	IMAP    IMAP    `toml:"imap"`
	// ManageSieve is how users keep their scripts.
	ManageSieve ManageSieve `toml:"managesieve"`
	Search      Search      `toml:"search"`
	Blobs       Blobs       `toml:"blobs"`
	// Outbound is off unless it is said.
	Outbound Outbound `toml:"outbound"`
	Inbound  Inbound  `toml:"inbound"`
	HTTPS    HTTPS    `toml:"https"`
	TLS      TLS      `toml:"tls"`
	Admin    Admin    `toml:"admin"`
	Log      Log      `toml:"log"`
}

// Cluster holds the addresses that nodes use among themselves.
type Cluster struct {
	Listen          string `toml:"listen"`
	Advertise       string `toml:"advertise"`
	GossipListen    string `toml:"gossip_listen"`
	GossipAdvertise string `toml:"gossip_advertise"`
	Timing          string `toml:"timing"`
	// MinFreeBytes is the room that is kept free on the data disk; below it writes get 452.
	MinFreeBytes uint64 `toml:"min_free_bytes"`
	CacheBytes   int64  `toml:"cache_bytes"`
}

// SMTP holds the mail-in listeners; an empty list turns one off.
type SMTP struct {
	Hostname       string   `toml:"hostname"`
	MX             []string `toml:"mx"`
	Submission     []string `toml:"submission"`
	Submissions    []string `toml:"submissions"`
	LMTP           []string `toml:"lmtp"`
	MaxConnections int      `toml:"max_connections"` // -1 is no limit, here and below
	MaxPerAddress  int      `toml:"max_connections_per_address"`
	MaxPerAccount  int      `toml:"max_connections_per_account"`
}

// IMAP holds the IMAP listeners; an empty list turns one off.
type IMAP struct {
	Listen         []string `toml:"listen"`
	TLSListen      []string `toml:"tls_listen"`
	MaxConnections int      `toml:"max_connections"` // -1 is no limit, here and below
	MaxPerAddress  int      `toml:"max_connections_per_address"`
	MaxPerAccount  int      `toml:"max_connections_per_account"`
	// MessageLimit is how many messages one command works on (RFC 9738); -1 is any number.
	MessageLimit int `toml:"message_limit"`
	// SaveLimit is how many messages one COPY or APPEND takes; unless -1 it replaces MessageLimit.
	SaveLimit int `toml:"save_limit"`
	// Hide are capabilities that are not told, for clients that use one wrongly.
	Hide []string `toml:"hide"`
}

// Search says whether this node keeps an index for SEARCH of the mailboxes that are searched here.
type Search struct {
	Index bool `toml:"index"`
}

// ManageSieve holds the listeners of ManageSieve (RFC 5804); an empty list turns it off.
type ManageSieve struct {
	Listen []string `toml:"listen"`
}

// HTTPS holds the listeners of what the standards of mail have go over HTTPS: MTA-STS policies, reports about TLS. An
// empty list turns it off.
type HTTPS struct {
	Listen []string `toml:"listen"`
	// Certificate and Key are of the names mta-sts.DOMAIN. Empty: those of TLS, which have them too.
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// TLS names the certificate of the mail doors, and whose certificates users may show there.
type TLS struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
	// UserAuthorities is a PEM file of the authorities whose certificates users log in with. Empty: none do.
	UserAuthorities string `toml:"user_authorities"`
}

// Admin holds where the admin API listens.
type Admin struct {
	Socket string `toml:"socket"`
	Listen string `toml:"listen"`
}

// Log says how much is logged and in which form.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// Default returns the configuration before a file is read.
func Default() Config {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return Config{
		DataDir: "/var/lib/rookery",
		Node:    strings.SplitN(host, ".", 2)[0],
		Region:  "default",
		Cluster: Cluster{Listen: ":7700", GossipListen: ":7701", Timing: "lan",
			MinFreeBytes: 256 << 20, CacheBytes: 256 << 20},
		Inbound: Inbound{Enabled: true},
		SMTP: SMTP{Hostname: host, MX: []string{":25"}, Submission: []string{":587"}, Submissions: []string{":465"},
			MaxConnections: 2000, MaxPerAddress: 100, MaxPerAccount: 50},
		IMAP: IMAP{Listen: []string{":143"}, TLSListen: []string{":993"},
			MaxConnections: 20000, MaxPerAddress: 500, MaxPerAccount: 50, MessageLimit: 10000000, SaveLimit: -1},
		Search: Search{Index: true},
		Blobs:  Blobs{CacheBytes: 4 << 30},
		Log:    Log{Level: "info", Format: "text"},
	}
}

// Load reads and checks the file at path. Errors name the field and what to write instead.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, fmt.Errorf("no configuration at %s: write one (deploy/rookery.toml is a commented example) or name it with --config", path)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse reads a configuration from TOML, fills in defaults and checks it.
func Parse(data []byte) (Config, error) {
	c := Default()
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return Config{}, fmt.Errorf("unknown field:\n%s", strict.String())
		}
		return Config{}, err
	}
	if c.Admin.Socket == "" {
		c.Admin.Socket = filepath.Join(c.DataDir, "admin.sock")
	}
	if c.Blobs.CacheDir == "" {
		c.Blobs.CacheDir = filepath.Join(c.DataDir, "blobs")
	}
	return c, c.check()
}

// nodeName is what a node id looks like: it stands in certificates, keys of JSON and log lines.
var nodeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *Config) check() error {
	if !nodeName.MatchString(c.Node) {
		return fmt.Errorf("node = %q: use 1 to 63 lower-case letters, digits and hyphens", c.Node)
	}
	if !nodeName.MatchString(c.Region) {
		return fmt.Errorf("region = %q: use 1 to 63 lower-case letters, digits and hyphens", c.Region)
	}
	if !filepath.IsAbs(c.DataDir) {
		return fmt.Errorf("data_dir = %q: use an absolute path", c.DataDir)
	}
	if c.SMTP.Hostname == "" {
		return errors.New("smtp.hostname is empty: give the name that this node says in EHLO and that its address resolves back to")
	}
	if c.Cluster.Timing != "lan" && c.Cluster.Timing != "wan" {
		return fmt.Errorf("cluster.timing = %q: use \"lan\" (round trips below 10 ms) or \"wan\"", c.Cluster.Timing)
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		return errors.New("tls: give both certificate and key, or neither for a generated one")
	}
	if (c.HTTPS.Certificate == "") != (c.HTTPS.Key == "") {
		return errors.New("https: give both certificate and key, or neither for those of [tls]")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return fmt.Errorf("log.format = %q: use \"text\" or \"json\"", c.Log.Format)
	}
	if err := c.Blobs.check(); err != nil {
		return err
	}
	if err := c.Inbound.check(); err != nil {
		return err
	}
	if err := c.Outbound.check(); err != nil {
		return err
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	return c.checkAddresses()
}

// checkLimits refuses 0, which to one would be no connection and to another no limit.
func (c *Config) checkLimits() error {
	for _, limit := range []struct {
		field string
		value int
	}{
		{"smtp.max_connections", c.SMTP.MaxConnections}, {"smtp.max_connections_per_address", c.SMTP.MaxPerAddress},
		{"smtp.max_connections_per_account", c.SMTP.MaxPerAccount},
		{"imap.max_connections", c.IMAP.MaxConnections}, {"imap.max_connections_per_address", c.IMAP.MaxPerAddress},
		{"imap.max_connections_per_account", c.IMAP.MaxPerAccount},
	} {
		if limit.value < -1 || limit.value == 0 {
			return fmt.Errorf("%s = %d: use a number from 1, or -1 for no limit", limit.field, limit.value)
		}
	}
	return c.checkMessageLimits()
}

// leastMessages is how low a limit of messages may be (RFC 9738, section 3).
const leastMessages = 1000

// mostMessages is the highest number that IMAP can tell.
const mostMessages = math.MaxUint32

func (c *Config) checkMessageLimits() error {
	for _, l := range []struct {
		field string
		value int
	}{{"imap.message_limit", c.IMAP.MessageLimit}, {"imap.save_limit", c.IMAP.SaveLimit}} {
		if l.value != -1 && (l.value < leastMessages || int64(l.value) > mostMessages) {
			return fmt.Errorf("%s = %d: use a number from %d to %d, or -1 for no limit", l.field, l.value, leastMessages, int64(mostMessages))
		}
	}
	return c.checkHidden()
}

func (c *Config) checkHidden() error {
	for _, capability := range c.IMAP.Hide {
		if !engine.Hideable(capability) {
			return fmt.Errorf("imap.hide = %q: not an extension that can be hidden; docs/imap.md names them, in capitals", capability)
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	named := map[string][]string{
		"cluster.listen": {c.Cluster.Listen}, "cluster.gossip_listen": {c.Cluster.GossipListen},
		"smtp.mx": c.SMTP.MX, "smtp.submission": c.SMTP.Submission, "smtp.submissions": c.SMTP.Submissions,
		"imap.listen": c.IMAP.Listen, "imap.tls_listen": c.IMAP.TLSListen, "https.listen": c.HTTPS.Listen, "managesieve.listen": c.ManageSieve.Listen,
	}
	for field, addresses := range named {
		for _, a := range addresses {
			if _, _, err := net.SplitHostPort(a); err != nil {
				return fmt.Errorf("%s = %q: use host:port or :port", field, a)
			}
		}
	}
	var err error
	if c.Cluster.Advertise, err = advertised("cluster.advertise", c.Cluster.Advertise, c.Cluster.Listen); err != nil {
		return err
	}
	c.Cluster.GossipAdvertise, err = advertised("cluster.gossip_advertise", c.Cluster.GossipAdvertise, c.Cluster.GossipListen)
	return err
}

// advertised returns the address that other nodes are to dial.
func advertised(field, value, listen string) (string, error) {
	if value != "" {
		if _, _, err := net.SplitHostPort(value); err != nil {
			return "", fmt.Errorf("%s = %q: use host:port", field, value)
		}
		return value, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		name, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("%s is empty and this machine has no host name: %w", field, err)
		}
		return net.JoinHostPort(name, port), nil
	}
	return listen, nil
}
