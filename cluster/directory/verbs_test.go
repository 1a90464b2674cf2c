package directory_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
)

// args are the words of a line: plain ones by position, name=value ones by name. _ stands for a space.
type args struct {
	plain []string
	named map[string]string
}

func newArgs(words []string) args {
	a := args{named: make(map[string]string)}
	for _, word := range words {
		word = strings.ReplaceAll(word, "_", " ")
		if name, value, ok := strings.Cut(word, "="); ok {
			a.named[strings.ReplaceAll(name, " ", "_")] = value
		} else {
			a.plain = append(a.plain, word)
		}
	}
	return a
}

func (a args) at(i int) string {
	if i < len(a.plain) {
		return a.plain[i]
	}
	return ""
}

func (a args) number(i int) uint64 {
	n, _ := strconv.ParseUint(a.at(i), 10, 64)
	return n
}

func (a args) optional(name string) *string {
	if value, ok := a.named[name]; ok {
		return &value
	}
	return nil
}

func (a args) optionalNumber(name string) *uint64 {
	if value, ok := a.named[name]; ok {
		n, _ := strconv.ParseUint(value, 10, 64)
		return &n
	}
	return nil
}

func (a args) optionalBool(name string) *bool {
	if value, ok := a.named[name]; ok {
		b := value == "yes"
		return &b
	}
	return nil
}

func (a args) password() (c credential.Credential) {
	if text, ok := a.named["password"]; ok {
		c, _ = credential.Derive(text, []byte("saltsalt"), credential.MinIterations)
	}
	return c
}

func tokenID(text string) (id directory.TokenID) { copy(id[:], text); return id }
func hashOf(text string) (h directory.Hash)      { copy(h[:], text); return h }

func (a args) node(i int) directory.Node {
	return directory.Node{
		ID: cluster.NodeID(a.at(i)), Region: a.named["region"], ClusterAddress: a.named["cluster"], GossipAddress: a.named["gossip"],
		AdminAddress: a.named["admin"], Version: a.named["version"], CertificateSerial: a.named["serial"],
	}
}

func writes() map[string]func(args) (command.Command, error) {
	return map[string]func(args) (command.Command, error){
		"init": func(a args) (command.Command, error) {
			return directory.InitialiseCluster(directory.ClusterSpec{ID: a.at(0), Partitions: int(a.number(1)), Settings: a.named})
		},
		"create-domain":  func(a args) (command.Command, error) { return directory.CreateDomain(a.at(0), a.named["catch_all"]) },
		"update-domain":  func(a args) (command.Command, error) { return directory.UpdateDomain(a.at(0), a.named["catch_all"]) },
		"delete-domain":  func(a args) (command.Command, error) { return directory.DeleteDomain(a.at(0)) },
		"create-account": createAccount,
		"update-account": updateAccount,
		"delete-account": func(a args) (command.Command, error) {
			return directory.DeleteAccount(cluster.AccountID(a.number(0)))
		},
		"share": func(a args) (command.Command, error) {
			return directory.NoteSharing(cluster.AccountID(a.number(0)), cluster.AccountID(a.number(1)))
		},
		"put-alias": func(a args) (command.Command, error) { return directory.PutAlias(a.at(0), a.plain[1:]...) },
		"annotate": func(a args) (command.Command, error) {
			var changes []directory.Annotation
			for entry, value := range a.named {
				c := directory.Annotation{Entry: "/" + entry}
				if value != "NIL" {
					c.Value = []byte(value)
				}
				changes = append(changes, c)
			}
			return directory.PutAnnotations(changes...)
		},
		"delete-alias": func(a args) (command.Command, error) { return directory.DeleteAlias(a.at(0)) },
		"set": func(a args) (command.Command, error) {
			return directory.SetSetting(setting(a), strings.Join(a.plain[1:], " "))
		},
		"reset":         func(a args) (command.Command, error) { return directory.ResetSetting(setting(a)) },
		"register-node": func(a args) (command.Command, error) { return directory.RegisterNode(a.node(0)) },
		"update-node":   updateNode,
		"remove-node":   func(a args) (command.Command, error) { return directory.RemoveNode(cluster.NodeID(a.at(0))) },
		"put-join-token": func(a args) (command.Command, error) {
			return directory.PutJoinToken(directory.JoinToken{ID: tokenID(a.at(0)), Hash: hashOf(a.at(1)), Expires: date(a.at(2))})
		},
		"put-api-token": func(a args) (command.Command, error) {
			return directory.PutAPIToken(directory.APIToken{
				ID: tokenID(a.at(0)), Hash: hashOf(a.at(1)), Name: a.at(2), Scope: a.named["scope"], Expires: date(a.at(3)),
			})
		},
		"redeem": func(a args) (command.Command, error) {
			return directory.RedeemToken(directory.Redemption{
				Token: tokenID(a.at(0)), Hash: hashOf(a.at(1)), KeyHash: hashOf(a.named["key"]), Node: a.node(2),
			})
		},
		"delete-join-token": func(a args) (command.Command, error) { return directory.DeleteJoinToken(tokenID(a.at(0))) },
		"delete-api-token":  func(a args) (command.Command, error) { return directory.DeleteAPIToken(tokenID(a.at(0))) },
		"place":             place,
	}
}

func setting(a args) string { return strings.ReplaceAll(a.at(0), " ", "_") }

func date(text string) time.Time {
	t, _ := time.Parse("2006-01-02", text)
	return t
}

func createAccount(a args) (command.Command, error) {
	spec := directory.AccountSpec{Address: a.at(0), DisplayName: a.named["name"], Credential: a.password(), Admin: a.named["admin"] == "yes"}
	if n := a.optionalNumber("quota"); n != nil {
		spec.QuotaBytes = *n
	}
	return directory.CreateAccount(spec)
}

func updateAccount(a args) (command.Command, error) {
	change := directory.AccountChange{
		Address: a.optional("address"), DisplayName: a.optional("name"), Disabled: a.optionalBool("disabled"), Admin: a.optionalBool("admin"),
		QuotaBytes: a.optionalNumber("quota"), QuotaMessages: a.optionalNumber("messages"),
	}
	if c := a.password(); !c.IsZero() {
		change.Credential = &c
	}
	return directory.UpdateAccount(cluster.AccountID(a.number(0)), change)
}

func updateNode(a args) (command.Command, error) {
	change := directory.NodeChange{Region: a.optional("region"), ClusterAddress: a.optional("cluster"), Version: a.optional("version")}
	for _, state := range []directory.NodeState{directory.NodeActive, directory.NodeDraining, directory.NodeRemoved} {
		if a.named["state"] == state.String() {
			change.State = &state
		}
	}
	return directory.UpdateNode(cluster.NodeID(a.at(0)), change)
}

// place reads "VERSION 1:a,b 2:b".
func place(a args) (command.Command, error) {
	var groups []directory.Replicas
	for _, word := range a.plain[1:] {
		group, nodes, _ := strings.Cut(word, ":")
		n, _ := strconv.Atoi(group)
		r := directory.Replicas{Group: cluster.GroupID(n)}
		for node := range strings.SplitSeq(nodes, ",") {
			if node != "" {
				r.Nodes = append(r.Nodes, cluster.NodeID(node))
			}
		}
		groups = append(groups, r)
	}
	return directory.PutPartitionMap(a.number(0), groups...)
}

func reads() map[string]func(directory.View, args) (string, error) {
	return map[string]func(directory.View, args) (string, error){
		"shared-by": func(v directory.View, a args) (string, error) {
			owners, err := v.SharedBy(cluster.AccountID(a.number(0)))
			return fmt.Sprint(owners), err
		},
		"annotations": func(v directory.View, _ args) (string, error) {
			all, err := v.Annotations()
			var out strings.Builder
			for _, a := range all {
				fmt.Fprintf(&out, "%s %q\n", a.Entry, a.Value)
			}
			return out.String(), err
		},
		"cluster":  func(v directory.View, _ args) (string, error) { return line(v.Cluster()) },
		"settings": func(v directory.View, _ args) (string, error) { return line(v.Settings()) },
		"domain":   func(v directory.View, a args) (string, error) { return line(v.Domain(a.at(0))) },
		"domains":  func(v directory.View, _ args) (string, error) { return lines(v.Domains()) },
		"account":  func(v directory.View, a args) (string, error) { return line(v.AccountByAddress(a.at(0))) },
		"accounts": func(v directory.View, a args) (string, error) {
			return lines(v.Accounts(a.named["domain"], a.named["after"], int(a.number(0))))
		},
		"alias": func(v directory.View, a args) (string, error) { return line(v.Alias(a.at(0))) },
		"aliases": func(v directory.View, a args) (string, error) {
			return lines(v.Aliases(a.named["domain"], a.named["after"], int(a.number(0))))
		},
		"node":      func(v directory.View, a args) (string, error) { return line(v.Node(cluster.NodeID(a.at(0)))) },
		"nodes":     func(v directory.View, _ args) (string, error) { return lines(v.Nodes()) },
		"tokens":    tokens,
		"partition": func(v directory.View, _ args) (string, error) { return line(v.PartitionMap()) },
		"resolve":   resolve,
		"administrators": func(v directory.View, _ args) (string, error) {
			list, err := v.Administrators()
			var out []string
			for _, a := range list {
				out = append(out, a.Address)
			}
			return strings.Join(out, " "), err
		},
		"caretaker": func(v directory.View, _ args) (string, error) {
			a, err := v.Caretaker()
			return a.Address, err
		},
		"owns": func(v directory.View, a args) (string, error) {
			yes, err := v.Owns(cluster.AccountID(a.number(0)), a.at(1))
			return fmt.Sprint(yes), err
		},
		"limits": func(v directory.View, a args) (string, error) {
			size, messages, err := v.Limits(cluster.AccountID(a.number(0)))
			return fmt.Sprintf("bytes=%d messages=%d", size, messages), err
		},
	}
}

func tokens(v directory.View, _ args) (string, error) {
	join, err := lines(v.JoinTokens())
	if err != nil {
		return "", err
	}
	api, err := lines(v.APITokens())
	return join + api, err
}

func resolve(v directory.View, a args) (string, error) {
	r, err := v.Resolve(a.at(0))
	if err != nil {
		return "", err
	}
	var out []string
	for _, target := range r.Accounts {
		text := fmt.Sprintf("%d %s", target.Account.ID, target.Account.Address)
		if target.Detail != "" {
			text += " detail=" + target.Detail
		}
		if target.Account.Disabled {
			text += " disabled"
		}
		out = append(out, text)
	}
	for _, remote := range r.Remote {
		out = append(out, "remote "+remote)
	}
	for _, broken := range r.Broken {
		out = append(out, "broken "+broken)
	}
	return strings.Join(out, "\n"), nil
}

func line[T any](record T, err error) (string, error) { return text(record), err }

func lines[T any](records []T, err error) (string, error) {
	var b strings.Builder
	for _, record := range records {
		fmt.Fprintln(&b, text(record))
	}
	return b.String(), err
}

// text writes a record as people read it; secrets and keys are cut.
func text(record any) string {
	const day = "2006-01-02T15:04"
	when := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format(day)
	}
	switch r := record.(type) {
	case directory.Account:
		return fmt.Sprintf("%d %s %q in %v, credential %d of %d iterations, quota %d/%d, disabled=%v admin=%v",
			r.ID, r.Address, r.DisplayName, r.Partition, r.CredentialVersion, r.Credential.Iterations, r.QuotaBytes, r.QuotaMessages, r.Disabled, r.Admin)
	case directory.Domain:
		return fmt.Sprintf("%s (%s) catch-all %q, created %s", r.Name, r.Unicode, r.CatchAll, when(r.Created))
	case directory.Alias:
		return fmt.Sprintf("%s -> %s", r.Address, strings.Join(r.Targets, ", "))
	case directory.Node:
		return fmt.Sprintf("%s %v region=%s cluster=%s gossip=%s admin=%s version=%s serial=%s joined %s",
			r.ID, r.State, r.Region, r.ClusterAddress, r.GossipAddress, r.AdminAddress, r.Version, r.CertificateSerial, when(r.Joined))
	case directory.JoinToken:
		return fmt.Sprintf("join %s expires %s, used %s by %q", strings.TrimRight(string(r.ID[:]), "\x00"), when(r.Expires), when(r.Used), r.UsedBy)
	case directory.APIToken:
		return fmt.Sprintf("api %s %q scope %q expires %s", strings.TrimRight(string(r.ID[:]), "\x00"), r.Name, r.Scope, when(r.Expires))
	}
	return fmt.Sprintf("%+v", record)
}
