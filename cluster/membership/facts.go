package membership

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/memberlist"

	"github.com/rookery-mail/rookery/cluster"
)

// Facts is what a node says of itself. It travels as JSON with every announcement of the node, so it
// is small; unknown fields are ignored, so that neighbouring versions get along.
type Facts struct {
	ID      cluster.NodeID `json:"-"` // memberlist's node name
	Region  string         `json:"r,omitempty"`
	Address string         `json:"a,omitempty"` // host:port of the cluster port
	Version string         `json:"v,omitempty"` // of the program
}

func (f Facts) encode() ([]byte, error) {
	meta, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode the facts of node %s: %w", f.ID, err)
	}
	if len(meta) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("the facts of node %s take %d bytes, %d are allowed", f.ID, len(meta), memberlist.MetaMaxSize)
	}
	return meta, nil
}

// decodeFacts reads what another node says of itself. What cannot be read leaves the fields empty: the
// node is there all the same.
func decodeFacts(name string, meta []byte) (Facts, error) {
	var f Facts
	err := json.Unmarshal(meta, &f)
	if err != nil {
		f = Facts{}
	}
	f.ID = cluster.NodeID(name)
	return f, err
}
