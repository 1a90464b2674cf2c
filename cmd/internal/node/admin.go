package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/certs"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// The Node is what the admin API is over.
var (
	_ adminapi.Observer = (*Node)(nil)
	_ adminapi.Domains  = (*Node)(nil)
	_ adminapi.Aliases  = (*Node)(nil)
	_ adminapi.Bans     = (*Node)(nil)
	_ adminapi.Settings = (*Node)(nil)
	_ adminapi.Tokens   = (*Node)(nil)
	_ adminapi.Nodes    = (*Node)(nil)
)

// proposeDirectory has a command executed by the directory and waits until this node shows it.
func (n *Node) proposeDirectory(ctx context.Context, c command.Command) (directory.Result, error) {
	data, at, err := n.router.Propose(ctx, cluster.DirectoryGroup, c)
	if err != nil {
		return directory.Result{}, err
	}
	result, err := directory.DecodeResult(data)
	if err != nil {
		return directory.Result{}, err
	}
	r, err := n.host.get(cluster.DirectoryGroup)
	if err != nil {
		return result, nil // the directory is being fetched anew; the command is executed all the same
	}
	return result, r.WaitApplied(ctx, at)
}

// change proposes a command that was just built.
func (n *Node) change(ctx context.Context, c command.Command, err error) error {
	if err != nil {
		return err
	}
	_, err = n.proposeDirectory(ctx, c)
	return err
}

// Domains lists the mail domains.
func (n *Node) Domains(context.Context) ([]adminapi.Domain, error) {
	out := []adminapi.Domain{}
	err := n.view(func(v directory.View) error {
		domains, err := v.Domains()
		for _, d := range domains {
			out = append(out, adminapi.Domain{Name: d.Unicode, CatchAll: d.CatchAll})
		}
		return err
	})
	return out, err
}

// PutDomain makes a domain, or changes the catch-all of one that is there.
func (n *Node) PutDomain(ctx context.Context, d adminapi.Domain) error {
	c, err := directory.CreateDomain(d.Name, d.CatchAll)
	if err = n.change(ctx, c, err); errors.Is(err, directory.ErrExists) && d.CatchAll != "" {
		c, err = directory.UpdateDomain(d.Name, d.CatchAll)
		err = n.change(ctx, c, err)
	}
	return err
}

// DeleteDomain stops accepting mail for a domain.
func (n *Node) DeleteDomain(ctx context.Context, name string) error {
	c, err := directory.DeleteDomain(name)
	return n.change(ctx, c, err)
}

// Aliases lists all aliases.
func (n *Node) Aliases(context.Context) ([]adminapi.Alias, error) {
	out := []adminapi.Alias{}
	err := n.view(func(v directory.View) error {
		aliases, err := v.Aliases("", "", 0)
		for _, a := range aliases {
			out = append(out, adminapi.Alias{Address: a.Address, Targets: a.Targets})
		}
		return err
	})
	return out, err
}

// PutAlias makes or replaces an alias.
func (n *Node) PutAlias(ctx context.Context, a adminapi.Alias) error {
	c, err := directory.PutAlias(a.Address, a.Targets...)
	return n.change(ctx, c, err)
}

// DeleteAlias takes an alias away.
func (n *Node) DeleteAlias(ctx context.Context, address string) error {
	c, err := directory.DeleteAlias(address)
	return n.change(ctx, c, err)
}

// Settings lists all settings of the cluster.
func (n *Node) Settings(context.Context) ([]adminapi.Setting, error) {
	var out []adminapi.Setting
	err := n.view(func(v directory.View) error {
		for _, d := range directory.Definitions() {
			value, _, err := v.Setting(d.Name)
			if err != nil {
				return err
			}
			out = append(out, adminapi.Setting{Name: d.Name, Value: value, Default: d.Default, Help: d.Meaning})
		}
		return nil
	})
	return out, err
}

// Set sets one setting.
func (n *Node) Set(ctx context.Context, name, value string) error {
	c, err := directory.SetSetting(name, value)
	return n.change(ctx, c, err)
}

// CreateJoinToken makes a token that lets one node in.
func (n *Node) CreateJoinToken(ctx context.Context, ttl time.Duration) (adminapi.JoinToken, error) {
	token, err := certs.NewToken(certs.FingerprintOf(n.identity.CA))
	if err != nil {
		return adminapi.JoinToken{}, err
	}
	expires := time.Now().Add(ttl).UTC().Truncate(time.Second)
	record := token.Record(expires)
	c, err := directory.PutJoinToken(directory.JoinToken{ID: directory.TokenID(record.ID), Hash: record.Hash, Expires: expires})
	if err := n.change(ctx, c, err); err != nil {
		return adminapi.JoinToken{}, err
	}
	return adminapi.JoinToken{Token: token.String(), Expires: expires}, nil
}

// apiTokenPrefix marks API tokens, so that one that leaks is recognised.
const apiTokenPrefix = "rookery-api-"

// CreateAPIToken makes a token for the admin API over TLS.
func (n *Node) CreateAPIToken(ctx context.Context, t adminapi.APIToken) (adminapi.APIToken, error) {
	var id directory.TokenID
	var secret [24]byte
	for _, b := range [][]byte{id[:], secret[:]} {
		if _, err := rand.Read(b); err != nil {
			return adminapi.APIToken{}, fmt.Errorf("draw a token: %w", err)
		}
	}
	t.ID, t.Secret = id.String(), apiTokenPrefix+hex.EncodeToString(secret[:])
	c, err := directory.PutAPIToken(directory.APIToken{ID: id, Hash: sha256.Sum256([]byte(t.Secret)), Name: t.Name, Expires: t.Expires})
	return t, n.change(ctx, c, err)
}

// APITokens lists the tokens without their secrets.
func (n *Node) APITokens(context.Context) ([]adminapi.APIToken, error) {
	out := []adminapi.APIToken{}
	err := n.view(func(v directory.View) error {
		tokens, err := v.APITokens()
		for _, t := range tokens {
			out = append(out, adminapi.APIToken{ID: t.ID.String(), Name: t.Name, Expires: t.Expires})
		}
		return err
	})
	return out, err
}

// DeleteAPIToken revokes a token.
func (n *Node) DeleteAPIToken(ctx context.Context, id string) error {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(directory.TokenID{}) {
		return fmt.Errorf("token id %q: %w: use one that `rookery api-token list` shows", id, directory.ErrInvalid)
	}
	c, err := directory.DeleteAPIToken(directory.TokenID(raw))
	return n.change(ctx, c, err)
}

// CheckAPIToken reports whether a secret with this hash opens the API now.
func (n *Node) CheckAPIToken(_ context.Context, hash [sha256.Size]byte) (ok bool, err error) {
	err = n.view(func(v directory.View) error {
		tokens, err := v.APITokens()
		for _, t := range tokens {
			ok = ok || t.Hash == hash && t.Usable(time.Now())
		}
		return err
	})
	return ok, err
}

// Nodes lists the members.
func (n *Node) Nodes(context.Context) ([]adminapi.NodeStatus, error) {
	nodes, _, err := n.membersAndMap()
	out := []adminapi.NodeStatus{}
	for _, m := range nodes {
		out = append(out, adminapi.NodeStatus{ID: string(m.ID), Region: m.Region, Address: m.ClusterAddress, State: m.State.String(), Version: m.Version})
	}
	return out, err
}

// DrainNode moves all replicas away from a node, or lets it hold some again.
func (n *Node) DrainNode(ctx context.Context, id string, drain bool) error {
	state := directory.NodeActive
	if drain {
		state = directory.NodeDraining
	}
	c, err := directory.UpdateNode(cluster.NodeID(id), directory.NodeChange{State: &state})
	return n.change(ctx, c, err)
}

// RemoveNode ends a node's membership. Its replicas are first planned elsewhere, without waiting for
// them to move: the node may be gone for ever.
func (n *Node) RemoveNode(ctx context.Context, id string) error {
	if cluster.NodeID(id) == n.id {
		return fmt.Errorf("%w: this is node %s itself: run it on another node", directory.ErrInvalid, id)
	}
	if err := n.unassign(ctx, cluster.NodeID(id)); err != nil {
		return err
	}
	c, err := directory.RemoveNode(cluster.NodeID(id))
	return n.change(ctx, c, err)
}
