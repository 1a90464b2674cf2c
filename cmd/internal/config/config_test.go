package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestExample holds deploy/rookery.toml to what it says: it is a valid configuration, and with its
// defaults taken out nothing changes.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../../deploy/rookery.toml")
	if err != nil {
		t.Fatal(err)
	}
	named := append([]byte("node = \"mx1\"\n"), data...)
	got, err := Parse(named)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse([]byte("node = \"mx1\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := flat(got), flat(want); a != b {
		t.Errorf("the example shows other defaults than there are:\n%s\n%s", a, b)
	}
}

func flat(c Config) string {
	var b strings.Builder
	for _, s := range []any{c.DataDir, c.Region, c.Cluster, c.SMTP, c.IMAP, c.HTTPS, c.TLS, c.Admin, c.Log} {
		b.WriteString(fmt.Sprintf("%+v\n", s))
	}
	return b.String()
}

func TestErrorsSayWhatToWrite(t *testing.T) {
	base := "node = \"mx1\"\n[smtp]\nhostname = \"mx1.example.org\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"unknown field":   {"nodename = \"mx1\"\n", "unknown field"},
		"bad node":        {"node = \"MX 1\"\n", "lower-case letters"},
		"bad region":      {"node = \"mx1\"\nregion = \"\"\n", "region"},
		"relative dir":    {"node = \"mx1\"\ndata_dir = \"data\"\n", "absolute path"},
		"no host name":    {"node = \"mx1\"\n[smtp]\nhostname = \"\"\n", "smtp.hostname"},
		"bad timing":      {base + "[cluster]\ntiming = \"moon\"\n", "lan"},
		"half a key pair": {base + "[tls]\ncertificate = \"/x.pem\"\n", "both certificate and key"},
		"half a web key":  {base + "[https]\nkey = \"/x.pem\"\n", "https: give both certificate and key"},
		"bad address":     {base + "[imap]\nlisten = [\"143\"]\n", "imap.listen"},
		"low limit":       {base + "[imap]\nmessage_limit = 999\n", "imap.message_limit = 999: use a number from 1000"},
		"limit of none":   {base + "[imap]\nsave_limit = 0\n", "imap.save_limit"},
		"unknown hidden":  {base + "[imap]\nhide = [\"UIDONLY\", \"uidplus\"]\n", `imap.hide = "uidplus"`},
		"large limit":     {base + "[imap]\nmessage_limit = 4294967296\n", "to 4294967295"},
		"bad advertise":   {base + "[cluster]\nadvertise = \"mx1\"\n", "cluster.advertise"},
		"no connections":  {base + "max_connections_per_address = 0\n", "smtp.max_connections_per_address = 0: use a number from 1, or -1"},
		"bad limit":       {base + "[imap]\nmax_connections_per_account = -2\n", "imap.max_connections_per_account"},
		"small cache":     {base + "[blobs]\ncache_bytes = 1024\n", "blobs.cache_bytes = 1024: use 16777216"},
		"relative cache":  {base + "[blobs]\ncache_dir = \"blobs\"\n", "blobs.cache_dir"},
		"relative keys":   {base + "[blobs]\ncredentials_file = \"keys\"\n", "blobs.credentials_file"},
		"bad log":         {base + "[log]\nformat = \"xml\"\n", "log.format"},
		"not TOML":        {"node = \n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestAdvertise(t *testing.T) {
	c, err := Parse([]byte("node = \"mx1\"\ndata_dir = \"/d\"\n[cluster]\nlisten = \"192.0.2.1:7700\"\ngossip_advertise = \"a.example:9\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster.Advertise != "192.0.2.1:7700" || c.Cluster.GossipAdvertise != "a.example:9" {
		t.Errorf("advertised %q and %q", c.Cluster.Advertise, c.Cluster.GossipAdvertise)
	}
	if c.Admin.Socket != "/d/admin.sock" {
		t.Errorf("socket %q", c.Admin.Socket)
	}
}

// TestLimits: -1 is no limit, and who says nothing of the limits has those of the example.
func TestLimits(t *testing.T) {
	c, err := Parse([]byte("node = \"mx1\"\n[smtp]\nhostname = \"mx1.example.org\"\nmax_connections_per_account = -1\n[imap]\nmax_connections_per_account = 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.SMTP.MaxPerAccount != -1 || c.IMAP.MaxPerAccount != 7 || c.SMTP.MaxPerAddress != 100 || c.IMAP.MaxPerAddress != 500 {
		t.Errorf("limits of %+v and %+v", c.SMTP, c.IMAP)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("node = \"mx1\"\n[cluster]\nlisten = \":7700\"\n"))
	f.Add([]byte("[[["))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err == nil && (c.Node == "" || c.Cluster.Advertise == "") {
			t.Errorf("accepted without a node or an address: %+v", c)
		}
	})
}
