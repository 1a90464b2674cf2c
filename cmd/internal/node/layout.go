package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// layout names the files of a data directory:
//
//	node.json      who this node is (record)
//	node.pem       its certificate and the cluster's authority
//	node.key       its private key
//	lock           held while a process uses the directory
//	log/           Raft logs, synced (cluster/raftlog)
//	state/         the state of all groups (cluster/state)
//	snapshots/     snapshots on their way in
//	search/        the search index: made of the state, kept for speed (index/concordance)
//	blobs/         blocks of packs in object storage, kept for speed (blobstore/reader)
//	packing/       packs that are being made (blobstore/packer)
//	spool/         large messages that wait for a verdict, without names (mta/spool)
//	rebuild/       a file for each group that is to be fetched anew
//	tls/           the generated certificate of the mail doors
type layout struct{ dir string }

func (l layout) record() string              { return filepath.Join(l.dir, "node.json") }
func (l layout) certificate() string         { return filepath.Join(l.dir, "node.pem") }
func (l layout) key() string                 { return filepath.Join(l.dir, "node.key") }
func (l layout) lock() string                { return filepath.Join(l.dir, "lock") }
func (l layout) logs() string                { return filepath.Join(l.dir, "log") }
func (l layout) state() string               { return filepath.Join(l.dir, "state") }
func (l layout) search() string              { return filepath.Join(l.dir, "search") }
func (l layout) packing() string             { return filepath.Join(l.dir, "packing") }
func (l layout) spool() string               { return filepath.Join(l.dir, "spool") }
func (l layout) snapshots() string           { return filepath.Join(l.dir, "snapshots") }
func (l layout) rebuilds() string            { return filepath.Join(l.dir, "rebuild") }
func (l layout) rebuild(group string) string { return filepath.Join(l.rebuilds(), group) }
func (l layout) doorCertificate() string     { return filepath.Join(l.dir, "tls", "fullchain.pem") }
func (l layout) doorKey() string             { return filepath.Join(l.dir, "tls", "privkey.pem") }

// record is node.json: what a node must know of itself and its cluster before it can read the
// directory. Version 1; unknown fields of later versions are passed over.
type record struct {
	Version   int    `json:"version"`
	Cluster   string `json:"cluster"`
	Node      string `json:"node"`
	GossipKey []byte `json:"gossip_key"` // 32 bytes, base64
	// Peers are cluster addresses by node, used until the directory is here.
	Peers map[string]string `json:"peers"`
}

const recordVersion = 1

// errNoCluster says that the data directory holds no node.
var errNoCluster = errors.New("this machine is not part of a cluster")

// readRecord reads node.json and holds it against the configuration.
func readRecord(cfg config.Config) (record, error) {
	l := layout{cfg.DataDir}
	data, err := os.ReadFile(l.record())
	if errors.Is(err, os.ErrNotExist) {
		return record{}, fmt.Errorf("%w: %s is not there. Make a new cluster with `rookery init`, or join one with `rookery join --token … host:port`", errNoCluster, l.record())
	}
	if err != nil {
		return record{}, fmt.Errorf("read the node's record: %w", err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("read %s: %w", l.record(), err)
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("%s has version %d, this build of rookery understands %d: run the newer build", l.record(), r.Version, recordVersion)
	}
	if r.Node != cfg.Node {
		return record{}, fmt.Errorf("%s belongs to node %q, but the configuration says node = %q: a node keeps its name; put it back, or use another data_dir", l.record(), r.Node, cfg.Node)
	}
	return r, nil
}

// checkEmpty refuses a data directory that holds a node already.
func checkEmpty(cfg config.Config) error {
	l := layout{cfg.DataDir}
	if _, err := os.Stat(l.record()); err == nil {
		return fmt.Errorf("%s exists: this machine is a node already. Run `rookery serve`, or empty %s if that node is to be forgotten", l.record(), l.dir)
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// save writes the node's certificate, key and record. The record comes last: a directory without it
// is no node, so an interrupted init or join can be done again.
func save(cfg config.Config, r record, chainPEM, keyPEM []byte) error {
	l := layout{cfg.DataDir}
	if err := certs.Save(l.key(), keyPEM); err != nil {
		return err
	}
	if err := certs.Save(l.certificate(), chainPEM); err != nil {
		return err
	}
	return saveRecord(l, r)
}

// saveRecord writes node.json, whole or not at all.
func saveRecord(l layout, r record) error {
	r.Version = recordVersion
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the node's record: %w", err)
	}
	return certs.Save(l.record(), append(data, '\n'))
}

// peers gives the record's addresses in the cluster's types.
func (r record) peers() map[cluster.NodeID]string {
	out := make(map[cluster.NodeID]string, len(r.Peers))
	for id, address := range r.Peers {
		out[cluster.NodeID(id)] = address
	}
	return out
}
