package directory_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// every builds commands of every kind with every field set, in an order in which all are accepted.
func every(t *testing.T) []command.Command {
	var out []command.Command
	add := func(c command.Command, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	id := func(s string) (id directory.TokenID) { copy(id[:], s); return id }
	day := func(d int) time.Time { return time.Date(2026, 2, d, 0, 0, 0, 0, time.UTC) }
	text := func(s string) *string { return &s }
	number := func(n uint64) *uint64 { return &n }
	yes, draining := true, directory.NodeDraining
	c, err := credential.Derive("secret", []byte("saltsalt"), credential.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	node := directory.Node{
		ID: "b", Region: "us", ClusterAddress: "10.0.0.2:7000", GossipAddress: "10.0.0.2:7001", AdminAddress: "10.0.0.2:7002",
		Version: "0.1", CertificateSerial: "ab", State: directory.NodeActive, Joined: day(1),
	}
	first := node
	first.ID = "a"
	add(directory.InitialiseCluster(directory.ClusterSpec{
		ID: "rook", Partitions: 2, CACert: []byte("cert"), CAKey: []byte("key"), GossipKey: []byte("gossip"),
		Settings: map[string]string{"quota_bytes": "1g", "postmaster": "root@example.com"},
	}))
	add(directory.CreateDomain("Bücher.example", "catch@example.com"))
	add(directory.UpdateDomain("bücher.example", ""))
	add(directory.CreateDomain("gone.example", ""))
	add(directory.DeleteDomain("gone.example"))
	add(directory.CreateAccount(directory.AccountSpec{
		Address: "ann@bücher.example", DisplayName: "Ann", Credential: c, QuotaBytes: 1, QuotaMessages: 2, Disabled: true, Admin: true,
	}))
	add(directory.CreateAccount(directory.AccountSpec{Address: `"b b"@bücher.example`}))
	add(directory.UpdateAccount(1, directory.AccountChange{
		Address: text("anne@bücher.example"), DisplayName: text("Anne"), Credential: &c, QuotaBytes: number(3), QuotaMessages: number(4),
		Disabled: &yes, Admin: &yes,
	}))
	add(directory.CreateAccount(directory.AccountSpec{Address: "c@bücher.example"}))
	add(directory.DeleteAccount(3))
	add(directory.PutAlias("all@bücher.example", "anne@bücher.example", "Far@elsewhere.example"))
	add(directory.PutAlias("x@bücher.example", "y@z"))
	add(directory.DeleteAlias("x@bücher.example"))
	add(directory.SetSetting("max_recipients", "200"))
	add(directory.ResetSetting("quota_bytes"))
	add(directory.RegisterNode(first))
	add(directory.PutJoinToken(directory.JoinToken{ID: id("join"), Hash: directory.Hash{1}, Expires: day(2)}))
	add(directory.RedeemToken(directory.Redemption{Token: id("join"), Hash: directory.Hash{1}, KeyHash: directory.Hash{2}, Node: node}))
	add(directory.PutJoinToken(directory.JoinToken{ID: id("gone"), Hash: directory.Hash{1}, Expires: day(2)}))
	add(directory.DeleteJoinToken(id("gone")))
	add(directory.PutAPIToken(directory.APIToken{ID: id("api"), Hash: directory.Hash{3}, Name: "ops", Scope: "admin", Expires: day(3)}))
	add(directory.PutAPIToken(directory.APIToken{ID: id("gone"), Hash: directory.Hash{3}, Name: "ops"}))
	add(directory.DeleteAPIToken(id("gone")))
	add(directory.PutPartitionMap(0, directory.Replicas{Group: 2, Nodes: []cluster.NodeID{"a", "b"}}, directory.Replicas{Group: 0, Nodes: []cluster.NodeID{"a"}}))
	add(directory.PutPartitionMap(1, directory.Replicas{Group: 2, Nodes: []cluster.NodeID{"a"}}))
	add(directory.UpdateNode("b", directory.NodeChange{
		Region: text("eu"), ClusterAddress: text("1:1"), GossipAddress: text("1:2"), AdminAddress: text("1:3"), Version: text("0.2"),
		State: &draining, CertificateSerial: text("cd"),
	}))
	add(directory.RemoveNode("b"))
	add(directory.UpdateNode("a", directory.NodeChange{MailName: text("mx1.example.com")}))
	old, err := c.WithSHA1("secret")
	if err != nil {
		t.Fatal(err)
	}
	add(directory.UpdateAccount(2, directory.AccountChange{Credential: &old}))
	add(directory.NoteSharing(1, 2))
	add(directory.NoteSharing(2, directory.Anyone))
	add(directory.PutAnnotations(directory.Annotation{Entry: "/shared/admin", Value: []byte("mailto:root@example.com")},
		directory.Annotation{Entry: "/shared/comment", Value: []byte{}}, directory.Annotation{Entry: "/shared/none"}))
	add(directory.PutMail(directory.MailChange{Record: routeTo("all", "relay.example:587"), Expected: new(uint64)},
		directory.MailChange{Record: routeTo("gone"), Remove: true}))
	return out
}

// TestGolden holds the bytes of payloads, results, keys and records. A difference here means that other
// versions, and disks, do not understand this build: never update without a new format.
func TestGolden(t *testing.T) {
	var built bytes.Buffer
	for _, c := range every(t) {
		fmt.Fprintf(&built, "%v %04x %x\n", c.Kind, uint16(c.Kind), c.Payload)
	}
	golden(t, "testdata/commands.golden", built.Bytes())

	// What is executed is what the file holds, not what this build made.
	stored, err := os.ReadFile("testdata/commands.golden")
	if err != nil {
		t.Fatal(err)
	}
	store, machine := &directorytest.Store{}, directory.New()
	var results bytes.Buffer
	kinds := make(map[command.Kind]bool)
	for line := range strings.Lines(string(stored)) {
		words := strings.Fields(line)
		kind, err := strconv.ParseUint(words[1], 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := hex.DecodeString(strings.Join(words[2:], ""))
		if err != nil {
			t.Fatal(err)
		}
		result, err := machine.Execute(store, command.Command{
			Kind: command.Kind(kind), Payload: payload, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := directory.DecodeResult(result); err != nil {
			t.Errorf("%s: %v", words[0], err)
		}
		fmt.Fprintf(&results, "%s %x\n", words[0], result)
		kinds[command.Kind(kind)] = true
	}
	for kind := range command.Kind(0x0200) {
		if _, known := kind.Since(); known && !kinds[kind] {
			t.Errorf("no golden bytes of %v", kind)
		}
	}
	golden(t, "testdata/results.golden", results.Bytes())
	golden(t, "testdata/records.golden", dump(store))
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}
