package node

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/rpc"
	"github.com/rookery-mail/rookery/cluster/transport"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// JoinOptions is what a joining node is given.
type JoinOptions struct {
	Token   string
	Member  string // cluster address of any member, host:port
	Version string
}

// methodJoin is the only thing that a machine without a node certificate may ask.
const methodJoin = "join"

// joinRequest is what a joining node sends: its token's secret, its facts, and a signing request.
type joinRequest struct {
	Token          certs.TokenID `json:"token"`
	Secret         [16]byte      `json:"secret"`
	Node           string        `json:"node"`
	Region         string        `json:"region"`
	ClusterAddress string        `json:"cluster_address"`
	GossipAddress  string        `json:"gossip_address"`
	AdminAddress   string        `json:"admin_address"`
	Version        string        `json:"version"`
	Level          command.Level `json:"level"`   // absent from a node of 0.1
	Request        []byte        `json:"request"` // PKCS #10, DER
}

type joinResponse struct {
	Cluster   string            `json:"cluster"`
	Chain     []byte            `json:"chain"` // PEM: the node's certificate, the authority's
	GossipKey []byte            `json:"gossip_key"`
	Peers     map[string]string `json:"peers"`
}

// Join has a member take this machine into its cluster and writes the data directory. It returns the
// cluster's id; nothing is left running.
func Join(ctx context.Context, cfg config.Config, opts JoinOptions) (clusterID string, err error) {
	token, err := certs.ParseToken(opts.Token)
	if err != nil {
		return "", fmt.Errorf("--token: %w: copy the whole line that `rookery token create` printed", err)
	}
	if err := checkEmpty(cfg); err != nil {
		return "", err
	}
	unlock, err := lockDir(cfg)
	if err != nil {
		return "", err
	}
	defer unlock()
	keyPEM, request, err := certs.NewNodeRequest(cluster.NodeID(cfg.Node))
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(joinRequest{Token: token.ID, Secret: token.Secret, Node: cfg.Node, Region: cfg.Region,
		ClusterAddress: cfg.Cluster.Advertise, GossipAddress: cfg.Cluster.GossipAdvertise, AdminAddress: cfg.Admin.Listen,
		Version: opts.Version, Level: command.Latest, Request: request})
	if err != nil {
		return "", fmt.Errorf("encode the request to join: %w", err)
	}
	response, err := askToJoin(ctx, opts.Member, token, data)
	if err != nil {
		return "", err
	}
	if _, err := certs.NewIdentity(response.Chain, keyPEM, time.Now); err != nil {
		return "", fmt.Errorf("check the certificate from %s: %w", opts.Member, err)
	}
	r := record{Cluster: response.Cluster, Node: cfg.Node, GossipKey: response.GossipKey, Peers: response.Peers}
	return response.Cluster, save(cfg, r, response.Chain, keyPEM)
}

func askToJoin(ctx context.Context, member string, token certs.Token, request []byte) (joinResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := transport.DialJoin(ctx, member, certs.JoinTLS(token.Authority))
	if errors.Is(err, certs.ErrForeignCluster) {
		return joinResponse{}, fmt.Errorf("%w: the token is of another cluster than the node at %s", err, member)
	}
	if err != nil {
		return joinResponse{}, err
	}
	defer conn.Close()
	data, err := rpc.Exchange(ctx, conn, methodJoin, request)
	if err != nil {
		if refused := (*rpc.Error)(nil); errors.As(err, &refused) {
			return joinResponse{}, errors.New(refused.Text)
		}
		return joinResponse{}, fmt.Errorf("ask %s to join: %w", member, err)
	}
	var response joinResponse
	if err := json.Unmarshal(data, &response); err != nil {
		return joinResponse{}, fmt.Errorf("read the answer of %s: %w", member, err)
	}
	return response, nil
}

// serveJoin takes a node in: its token is used up and the node registered in one command, then its
// key is certified. A node that missed the answer asks again with the same key.
func (n *Node) serveJoin(ctx context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var q joinRequest
	if err := json.Unmarshal(request, &q); err != nil {
		return nil, fmt.Errorf("read the request to join: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(q.Request)
	if err != nil {
		return nil, fmt.Errorf("read the signing request of node %s: %w", q.Node, err)
	}
	id := cluster.NodeID(q.Node)
	if err := certs.CheckNodeID(id); err != nil {
		return nil, err
	}
	if level := n.level(); max(q.Level, command.LevelFirst) < level {
		return nil, fmt.Errorf("node %s is not let in: it runs rookery %s, which cannot read what this cluster writes; install the version of the other nodes there", q.Node, q.Version)
	}
	c, err := directory.RedeemToken(directory.Redemption{
		Token: directory.TokenID(q.Token), Hash: sha256.Sum256(q.Secret[:]), KeyHash: sha256.Sum256(csr.RawSubjectPublicKeyInfo),
		Node: directory.Node{ID: id, Region: q.Region, ClusterAddress: q.ClusterAddress, GossipAddress: q.GossipAddress,
			AdminAddress: q.AdminAddress, Version: q.Version},
	})
	if err != nil {
		return nil, err
	}
	if _, err := n.proposeDirectory(ctx, c); err != nil {
		n.log.Warn("a node was not let in", "node", q.Node, "error", err)
		return nil, fmt.Errorf("node %s is not let in: %w", q.Node, err)
	}
	n.log.Info("a node joined", "node", q.Node, "region", q.Region, "address", q.ClusterAddress)
	return n.welcome(id, q.Request)
}

// welcome makes the answer to a node that was let in.
func (n *Node) welcome(id cluster.NodeID, csr []byte) ([]byte, error) {
	var (
		made  directory.Cluster
		nodes []directory.Node
	)
	err := n.view(func(v directory.View) (err error) {
		if made, err = v.Cluster(); err != nil {
			return err
		}
		nodes, err = v.Nodes()
		return err
	})
	if err != nil {
		return nil, err
	}
	ca, err := certs.ParseCA(made.CACert, made.CAKey)
	if err != nil {
		return nil, err
	}
	response := joinResponse{Cluster: made.ID, GossipKey: made.GossipKey, Peers: map[string]string{}}
	if response.Chain, err = ca.SignNode(id, csr, time.Now()); err != nil {
		return nil, err
	}
	for _, m := range nodes {
		if m.State != directory.NodeRemoved {
			response.Peers[string(m.ID)] = m.ClusterAddress
		}
	}
	return json.Marshal(response)
}
