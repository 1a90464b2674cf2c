package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/cmd/internal/bodies"
)

var (
	_ adminapi.BlobStores = (*Node)(nil)
	_ adminapi.BlobKeys   = (*Node)(nil)
)

// BlobSetting gives the setting of object storage.
func (n *Node) BlobSetting(context.Context) (s setting.Setting, err error) {
	var text string
	err = n.view(func(v directory.View) (err error) {
		text, err = v.BlobStore()
		return err
	})
	if err != nil {
		return s, err
	}
	s, set, err := setting.Parse(text)
	if !set && err == nil {
		s = setting.Default()
	}
	return s, err
}

// UseBlobs has a setting take effect, after every node has tried its store.
func (n *Node) UseBlobs(ctx context.Context, u adminapi.BlobUse) error {
	if n.level() < command.SetBlobMode.Level() {
		return fmt.Errorf("%w: bodies go to object storage once every node of the cluster runs a version that can read them there: "+
			"upgrade the others (`rookery status` shows their versions), then repeat this: %w", directory.ErrConflict, command.ErrTooEarly)
	}
	old, err := n.BlobSetting(ctx)
	if err != nil {
		return err
	}
	s := u.Setting
	s.Key, s.Retiring, s.Serial = old.Key, old.Retiring, old.Serial
	try := u.Check || !s.SameStore(old) || old.Embedded
	if try {
		s.Serial++
	}
	if old.URL != "" && s.Place() != old.Place() && !u.Moved {
		if err := n.left(ctx, old, s); err != nil {
			return err
		}
	}
	var key *directory.BlobKey
	if s.Encrypt && s.Key == "" {
		if key, err = newBlobKey(); err != nil {
			return err
		}
		s.Key = fmt.Sprintf("%x", key.ID)
	}
	if err := s.Check(); err != nil {
		return err
	}
	if try && !s.Embedded {
		if err := n.tryEverywhere(ctx, s); err != nil {
			return err
		}
	}
	if key != nil {
		c, err := directory.PutBlobKey(*key)
		if err := n.change(ctx, c, err); err != nil {
			return fmt.Errorf("keep a new key: %w", err)
		}
	}
	return n.putBlobSetting(ctx, s)
}

func (n *Node) putBlobSetting(ctx context.Context, s setting.Setting) error {
	text, err := s.Text()
	if err != nil {
		return err
	}
	c, err := directory.SetBlobStore(text)
	return n.change(ctx, c, err)
}

// left refuses to leave a store behind in which bodies are.
func (n *Node) left(ctx context.Context, old, next setting.Setting) error {
	b, err := n.Blobs(ctx)
	if err != nil {
		return err
	}
	packs := 0
	for _, p := range b.Partitions {
		if p.Leader == "" {
			return fmt.Errorf("whether partition %d has bodies in %s is not known, since its leader does not answer: %w", p.Partition, old.URL, cluster.ErrUnavailable)
		}
		packs += p.Packs + p.Open + p.Doomed
	}
	if packs == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d packs are in %s. Copy its objects to %s and repeat this with --moved, or bring the bodies home first "+
		"(`rookery blob use embedded`, until `rookery blob status` shows no packs)", directory.ErrConflict, packs, old.Place(), next.Place())
}

// tryEverywhere has each node try a store, and then see that it is the same one for all.
func (n *Node) tryEverywhere(ctx context.Context, s setting.Setting) error {
	ctx, cancel := context.WithTimeout(ctx, 3*checkPatience)
	defer cancel()
	if err := n.askStores(ctx, blobCheck{Setting: s}); err != nil {
		return err
	}
	bucket, err := n.openBucket(s)
	if err != nil {
		return err
	}
	defer bodies.Release(bucket)
	if err := object.Claim(ctx, bucket, n.record.Cluster, time.Now()); err != nil {
		return fmt.Errorf("%w: %w", directory.ErrConflict, err)
	}
	return n.askStores(ctx, blobCheck{Setting: s, Claimed: true})
}

// askStores has all nodes try a store and says which could not, and why.
func (n *Node) askStores(ctx context.Context, c blobCheck) error {
	answers, silent, err := everyNode[blobChecked](ctx, n, methodBlobCheck, c)
	if err != nil {
		return err
	}
	var wrong []string
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		if problem := answers[id].Problem; problem != "" {
			wrong = append(wrong, fmt.Sprintf("node %s: %s", id, problem))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(silent)) {
		wrong = append(wrong, fmt.Sprintf("node %s has to try the store and does not answer: %v", id, silent[id]))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s cannot be used, nothing is changed:\n  %s", directory.ErrConflict, c.Setting.URL, strings.Join(wrong, "\n  "))
	}
	return nil
}

// reportPatience is how long a node may take to say how its object storage is.
const reportPatience = 3 * time.Second

// Blobs describes object storage as this node can see it now.
func (n *Node) Blobs(ctx context.Context) (adminapi.Blobs, error) {
	b := adminapi.Blobs{Nodes: []adminapi.BlobNode{}, Partitions: []adminapi.BlobPartition{}}
	var err error
	if b.Setting, err = n.BlobSetting(ctx); err != nil || b.Setting.URL == "" {
		return b, err
	}
	reports, silent, err := n.blobReports(ctx)
	if err != nil {
		return b, err
	}
	led := map[uint16]adminapi.BlobPartition{}
	for _, r := range reports {
		b.Nodes = append(b.Nodes, r.Node)
		for _, p := range r.Partitions {
			led[p.Partition] = p
		}
	}
	for id := range silent {
		b.Nodes = append(b.Nodes, adminapi.BlobNode{Node: string(id)})
	}
	slices.SortFunc(b.Nodes, func(a, b adminapi.BlobNode) int { return cmp.Compare(a.Node, b.Node) })
	groups, err := n.partitions()
	for _, g := range groups {
		p := led[g]
		p.Partition = g
		b.Partitions = append(b.Partitions, p)
	}
	return b, err
}

func (n *Node) blobReports(ctx context.Context) (map[cluster.NodeID]bodies.Report, map[cluster.NodeID]error, error) {
	ctx, cancel := context.WithTimeout(ctx, reportPatience)
	defer cancel()
	return everyNode[bodies.Report](ctx, n, methodBlobReport, nil)
}

// partitions lists the partitions by number.
func (n *Node) partitions() (all []uint16, err error) {
	_, pm, err := n.membersAndMap()
	for _, g := range n.groupIDs(pm) {
		if g != cluster.DirectoryGroup {
			all = append(all, uint16(g))
		}
	}
	return all, err
}

// blobWork adds up what nodes say of a piece of work, and names partitions that nobody did it for.
func (n *Node) blobWork(ctx context.Context, method string, request any) (sum adminapi.BlobWork, err error) {
	if s, err := n.BlobSetting(ctx); err != nil || s.URL == "" {
		return sum, errors.Join(err, fmt.Errorf("%w: no object store is in use: begin with `rookery blob use`", directory.ErrConflict))
	}
	ctx, cancel := context.WithTimeout(ctx, workPatience)
	defer cancel()
	answers, silent, err := everyNode[adminapi.BlobWork](ctx, n, method, request)
	if err != nil {
		return sum, err
	}
	sum.Problems = []string{}
	for _, w := range answers {
		sum = bodies.Sum(sum, w)
	}
	groups, err := n.partitions()
	for _, g := range groups {
		if !slices.Contains(sum.Partitions, g) {
			sum.Problems = append(sum.Problems, fmt.Sprintf("partition %d: no node that answers leads it at the moment", g))
		}
	}
	for id, problem := range silent {
		sum.Problems = append(sum.Problems, fmt.Sprintf("node %s: %v", id, problem))
	}
	slices.Sort(sum.Problems)
	return sum, err
}

// workPatience is how long one question for work goes on. Who wants more asks again.
const workPatience = 30 * time.Second

// FlushBlobs packs what is staged.
func (n *Node) FlushBlobs(ctx context.Context) (adminapi.BlobWork, error) {
	return n.blobWork(ctx, methodBlobFlush, nil)
}

// CollectBlobs collects what is no longer used.
func (n *Node) CollectBlobs(ctx context.Context, c adminapi.BlobCollect) (adminapi.BlobWork, error) {
	return n.blobWork(ctx, methodBlobCollect, c)
}

// verifyPatience is how long a node may take to read some packs: at the lowest rate one takes minutes.
const verifyPatience = 15 * time.Minute

// VerifyBlobs reads some packs of a partition, on the node that leads it.
func (n *Node) VerifyBlobs(ctx context.Context, v adminapi.BlobVerify) (out adminapi.BlobVerified, err error) {
	reports, _, err := n.blobReports(ctx)
	if err != nil {
		return out, err
	}
	request, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	for id, r := range reports {
		leads := func(p adminapi.BlobPartition) bool { return p.Partition == v.Partition }
		if !slices.ContainsFunc(r.Partitions, leads) {
			continue
		}
		data, err := n.calls.Call(ctx, id, methodBlobVerify, request)
		if err != nil {
			return out, err
		}
		return out, json.Unmarshal(data, &out)
	}
	return out, fmt.Errorf("partition %d: no node that answers leads it at the moment: %w", v.Partition, cluster.ErrUnavailable)
}
