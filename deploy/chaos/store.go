package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/stores"
)

// The object store of a run with one. Packs are small and made soon, so that there are many, and what is
// no longer used is collected while faults go on.
const (
	storePrefix   = "chaos"
	storePackSize = "256KiB"
	storePackAge  = "2s"
	storeGrace    = "20s" // longer than any fault keeps a node behind
)

// How long an object store may take to be checked by all nodes, and to hold everything.
const (
	storePatience = 2 * time.Minute
	flushPatience = "4m"
)

// startStore runs an object store and has the cluster use it. Expunged mail is not kept, so that there is
// something to collect.
func (c *chaos) startStore(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	c.bucket, err = stores.Start(ctx, stores.Config{Kind: stores.Versitygw, Dir: filepath.Join(c.cluster.Dir(), "store")})
	if err != nil {
		return err
	}
	first := c.cluster.Nodes()[0]
	if _, err := first.Run(ctx, "", "setting", "set", "undelete_days", "0"); err != nil {
		return err
	}
	_, err = first.Run(ctx, "", "blob", "use", "s3://"+c.bucket.Bucket()+"/"+storePrefix, "--endpoint", c.bucket.Endpoint(),
		"--region", c.bucket.Region(), "--style", "path", "--credentials-file", c.bucket.CredentialsFile(), "--encrypt",
		"--pack-size", storePackSize, "--pack-age", storePackAge, "--grace", storeGrace)
	if err == nil {
		c.say("bodies go to %s at %s, in packs of %s or %s", stores.Versitygw, c.bucket.Endpoint(), storePackSize, storePackAge)
	}
	return err
}

// takeStore makes the object store fail.
func (c *chaos) takeStore(how string) error {
	switch how {
	case storeKill:
		c.bucket.Kill()
	case storeFreeze:
		return c.bucket.Pause()
	}
	return nil
}

// giveStore ends that.
func (c *chaos) giveStore(ctx context.Context, how string) error {
	switch how {
	case storeKill:
		return c.bucket.Restart(ctx)
	case storeFreeze:
		return c.bucket.Resume()
	}
	return nil
}

// blobStats is what `rookery blob stats` says, as far as chaos needs it.
type blobStats struct {
	Packs        int    `json:"packs"`
	Open         int    `json:"open"`
	Doomed       int    `json:"doomed"`
	ObjectBytes  int64  `json:"object_bytes"`
	LiveBodies   uint64 `json:"live_bodies"`
	StagedBodies uint64 `json:"staged_bodies"`
}

// flushStore packs all that is staged, so that everything is read from the store.
func (c *chaos) flushStore(ctx context.Context) error {
	if _, err := c.cluster.Nodes()[0].Run(ctx, "", "blob", "flush", "--wait", flushPatience); err != nil {
		return err
	}
	c.say("all bodies are packed")
	return nil
}

// bucketAudit is what came of holding the bucket against what the cluster says of it.
type bucketAudit struct {
	stats   blobStats
	objects int   // in the bucket, packs alone
	octets  int64 // of them
	strange []string
	damage  string // what `rookery blob verify` complains of
}

// String is the ledger's line of the bucket.
func (b *bucketAudit) String() string {
	return fmt.Sprintf("bodies_packed=%d staged=%d packs=%d open_packs=%d objects=%d unreferenced=%d missing_objects=%d damage=%d",
		b.stats.LiveBodies, b.stats.StagedBodies, b.stats.Packs, b.stats.Open, b.objects, b.unreferenced(), max(0, b.stats.Packs-b.objects), min(1, len(b.damage)))
}

// unreferenced counts the objects that belong to no pack. A pack whose leader was killed stays open for an
// hour and may have its object already, or may not.
func (b *bucketAudit) unreferenced() int { return max(0, b.objects-b.stats.Packs-b.stats.Open) }

// complaint says what is wrong, "" for nothing.
func (b *bucketAudit) complaint() string {
	var all []string
	// Where an open pack has its object, its octets are not known; that each whole one has its own is what
	// blob verify looks at.
	if b.unreferenced() > 0 || b.objects < b.stats.Packs || b.objects == b.stats.Packs && b.octets != b.stats.ObjectBytes {
		all = append(all, fmt.Sprintf("the bucket has %d packs of %d octets, and the cluster knows of %d of %d", b.objects, b.octets, b.stats.Packs, b.stats.ObjectBytes))
	}
	if b.stats.Doomed > 0 || b.stats.StagedBodies > 0 {
		all = append(all, fmt.Sprintf("%d packs are doomed and %d bodies staged", b.stats.Doomed, b.stats.StagedBodies))
	}
	if b.stats.LiveBodies == 0 {
		all = append(all, "no body is packed: nothing was tested")
	}
	if len(b.strange) > 0 {
		all = append(all, "the bucket has objects of nobody: "+strings.Join(b.strange, ", "))
	}
	if b.damage != "" {
		all = append(all, "blob verify: "+b.damage)
	}
	return strings.Join(all, "\n")
}

// auditStore collects what nobody needs any more, verifies the rest, and counts what is in the bucket.
func (c *chaos) auditStore(ctx context.Context) (*bucketAudit, error) {
	first := c.cluster.Nodes()[0]
	before, err := c.bucket.Objects(ctx, storePrefix+"/")
	if err != nil {
		return nil, err
	}
	if _, err := first.Run(ctx, "", "blob", "collect", "--grace", "0s", "--yes"); err != nil {
		return nil, err
	}
	b := &bucketAudit{}
	verified, err := first.Run(ctx, "", "blob", "verify")
	if err != nil {
		b.damage = err.Error()
	} else {
		c.say("blob verify: %s", strings.Join(strings.Fields(string(verified)), " "))
	}
	if err := c.readStats(ctx, first, b); err != nil {
		return nil, err
	}
	objects, err := c.bucket.Objects(ctx, storePrefix+"/")
	if err != nil {
		return nil, err
	}
	b.count(objects)
	c.say("the bucket had %d objects before the last collection and has %d", len(before), len(objects))
	return b, nil
}

func (c *chaos) readStats(ctx context.Context, n *harness.Node, b *bucketAudit) error {
	out, err := n.Run(ctx, "", "blob", "stats", "--format", "json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &b.stats); err != nil {
		return fmt.Errorf("read the answer of rookery blob stats: %w", err)
	}
	return nil
}

// count sorts what the bucket has.
func (b *bucketAudit) count(objects []stores.Object) {
	for _, o := range objects {
		switch name := strings.TrimPrefix(o.Name, storePrefix+"/"); {
		case strings.HasPrefix(name, "packs/"):
			b.objects++
			b.octets += o.Size
		case name != "rookery.json":
			b.strange = append(b.strange, o.Name)
		}
	}
}
