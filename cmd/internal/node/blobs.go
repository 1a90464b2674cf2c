package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/object/place"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/cmd/internal/bodies"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/packing"
)

// The methods that a node is asked about object storage with.
const (
	methodBlobCheck   = "blobs.check"
	methodBlobReport  = "blobs.report"
	methodBlobFlush   = "blobs.flush"
	methodBlobCollect = "blobs.collect"
	methodBlobVerify  = "blobs.verify"
)

// openBlobs makes the service of bodies in object storage, which Run starts once the directory is here.
func (n *Node) openBlobs(members *rpc.Mux) {
	n.blobs = bodies.New(bodies.Config{
		Node: string(n.id), Cluster: n.record.Cluster, CacheDir: n.cfg.Blobs.CacheDir, CacheBytes: n.cfg.Blobs.CacheBytes,
		SpoolDir: n.layout.packing(), View: n.view, Watch: n.directory.Watch, Open: n.openBucket, Logger: n.log,
	})
	n.counters.blobs(n)
	members.Register(methodBlobCheck, n.serveBlobCheck)
	members.Register(methodBlobReport, n.serveBlobReport)
	members.Register(methodBlobFlush, n.serveBlobFlush)
	members.Register(methodBlobCollect, n.serveBlobCollect)
	members.Register(methodBlobVerify, n.serveBlobVerify)
}

// openBucket opens the store of a setting with this node's credentials.
func (n *Node) openBucket(s setting.Setting) (object.Bucket, error) {
	return place.Open(s, place.Local{CredentialsFile: n.cfg.Blobs.CredentialsFile})
}

// blobCheck is the request of methodBlobCheck.
type blobCheck struct {
	Setting setting.Setting `json:"setting"`
	// Claimed says that the store has to be marked as this cluster's: that the node sees the same one.
	Claimed bool `json:"claimed"`
}

// blobChecked is its answer. What the store says is no error of the call.
type blobChecked struct {
	Problem string `json:"problem"`
}

// checkPatience is how long a node tries a store.
const checkPatience = 20 * time.Second

func (n *Node) serveBlobCheck(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var c blobCheck
	if err := json.Unmarshal(request, &c); err != nil {
		return nil, fmt.Errorf("read the setting of a store: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	var answer blobChecked
	if err := n.tryStore(ctx, c); err != nil {
		answer.Problem = err.Error()
	}
	return json.Marshal(answer)
}

// tryStore does with a store all that will be asked of it.
func (n *Node) tryStore(ctx context.Context, c blobCheck) error {
	bucket, err := n.openBucket(c.Setting)
	if err != nil {
		return err
	}
	defer bodies.Release(bucket)
	if !c.Claimed {
		if err := object.Check(ctx, bucket); err != nil {
			return err
		}
	}
	owner, err := object.Owner(ctx, bucket)
	switch {
	case err != nil:
		return err
	case owner != "" && owner != n.record.Cluster:
		return &object.ForeignError{Cluster: owner}
	case owner == "" && c.Claimed:
		return errors.New("it sees another store than the node that marked it: a directory has to be one that all nodes share")
	}
	return nil
}

func (n *Node) serveBlobReport(ctx context.Context, _ cluster.NodeID, _ []byte) ([]byte, error) {
	return json.Marshal(n.blobReport(ctx))
}

// blobReport is what this node says of bodies in object storage.
func (n *Node) blobReport(ctx context.Context) bodies.Report {
	r := n.blobs.Report(ctx)
	r.Node.Staged = n.staged()
	return r
}

func (n *Node) serveBlobFlush(ctx context.Context, _ cluster.NodeID, _ []byte) ([]byte, error) {
	return json.Marshal(n.blobs.Flush(ctx))
}

func (n *Node) serveBlobCollect(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var c adminapi.BlobCollect
	if err := json.Unmarshal(request, &c); err != nil {
		return nil, fmt.Errorf("read what to collect: %w", err)
	}
	grace := time.Duration(-1)
	if c.GraceSeconds != nil {
		grace = time.Duration(*c.GraceSeconds) * time.Second
	}
	return json.Marshal(n.blobs.Collect(ctx, grace))
}

func (n *Node) serveBlobVerify(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var v adminapi.BlobVerify
	if err := json.Unmarshal(request, &v); err != nil {
		return nil, fmt.Errorf("read what to verify: %w", err)
	}
	if _, err := n.leader(cluster.GroupID(v.Partition)); err != nil {
		return nil, err
	}
	found, err := n.blobs.Verify(ctx, v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(found)
}

// everyNode calls a method at all nodes that are not removed, at once. Nodes that did not answer are in
// problems.
func everyNode[A any](ctx context.Context, n *Node, method string, request any) (answers map[cluster.NodeID]A, problems map[cluster.NodeID]error, err error) {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return nil, nil, err
	}
	data, err := json.Marshal(request)
	if err != nil {
		return nil, nil, err
	}
	var (
		mu      sync.Mutex
		running sync.WaitGroup
	)
	answers, problems = map[cluster.NodeID]A{}, map[cluster.NodeID]error{}
	for _, m := range nodes {
		if m.State == directory.NodeRemoved {
			continue
		}
		running.Go(func() {
			var answer A
			got, err := n.calls.Call(ctx, m.ID, method, data)
			if err == nil {
				err = json.Unmarshal(got, &answer)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				problems[m.ID] = err
				return
			}
			answers[m.ID] = answer
		})
	}
	running.Wait()
	return answers, problems, nil
}

// pack keeps the bodies of a partition where the cluster's setting says, as leader work.
func (n *Node) pack(ctx context.Context, g cluster.GroupID) {
	n.blobs.Lead(ctx, packing.New(packing.Config{Group: g, Proposer: n.router, Address: n.addressOf,
		Replica: func() (packing.Replica, error) {
			r, err := n.host.get(g)
			if err != nil {
				return nil, err
			}
			return r, nil
		}}))
}

// addressOf is the address of an account, or empty.
func (n *Node) addressOf(a index.AccountID) (address string) {
	err := n.view(func(v directory.View) error {
		account, err := v.Account(a)
		address = account.Address
		return err
	})
	if err != nil && !errors.Is(err, directory.ErrNotFound) {
		n.log.Warn("a pack does not name an account", "account", uint64(a), "error", err)
	}
	return address
}
