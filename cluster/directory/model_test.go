package directory_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// model is the directory as one would write it without a log or keys.
type model struct {
	domains  map[string]string // name → catch-all
	accounts map[string]cluster.AccountID
	aliases  map[string][]string
	last     cluster.AccountID
}

// reach is everybody that an address leads to, by accounts' and remote addresses.
func (m *model) reach(start string) map[string]bool {
	found, seen, todo := make(map[string]bool), make(map[string]bool), []string{start}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		local, domain, _ := strings.Cut(at, "@")
		catchAll, ours := m.domains[domain]
		base, _, _ := strings.Cut(local, "+")
		base += "@" + domain
		switch {
		case !ours:
			found[at] = true
		case m.accounts[at] != 0:
			found[at] = true
		case m.aliases[at] != nil:
			todo = append(todo, m.aliases[at]...)
		case m.accounts[base] != 0:
			found[base] = true
		case m.aliases[base] != nil:
			todo = append(todo, m.aliases[base]...)
		case catchAll != "":
			todo = append(todo, catchAll)
		}
	}
	return found
}

// replica executes commands as one node does.
type replica struct {
	store   directorytest.Store
	machine *directory.Machine
}

func (r *replica) execute(t *rapid.T, c command.Command) (directory.Result, error) {
	data, err := r.machine.Execute(&r.store, c)
	if err != nil {
		t.Fatalf("%v: %v", c.Kind, err)
	}
	return directory.DecodeResult(data)
}

// TestModel drives the machine and the model with the same random commands. They agree on what is
// accepted and on where every address leads to, two replicas agree byte for byte, and the invariants of
// KEYS.md hold.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{domains: map[string]string{}, accounts: map[string]cluster.AccountID{}, aliases: map[string][]string{}}
		a, b := &replica{machine: directory.New()}, &replica{machine: directory.New()}
		index := cluster.LogIndex(0)
		run := func(want error, c command.Command, err error) directory.Result {
			if err != nil {
				t.Fatalf("build: %v", err)
			}
			index++
			c.Index, c.Time = index, time.UnixMilli(int64(index)*1000)
			result, err := a.execute(t, c)
			if !errors.Is(err, want) {
				t.Fatalf("%v: %v, want %v", c.Kind, err, want)
			}
			if second, err2 := b.execute(t, c); second != result || (err == nil) != (err2 == nil) {
				t.Fatalf("%v: replicas answer %v, %v and %v, %v", c.Kind, result, err, second, err2)
			}
			return result
		}
		c, err := directory.InitialiseCluster(directory.ClusterSpec{ID: "rook", Partitions: 3})
		run(nil, c, err)
		domain := rapid.SampledFrom([]string{"x.example", "y.example", "z.example"})
		local := rapid.SampledFrom([]string{"a", "b", "c", "a+1", "b+c"})
		anyone := rapid.Custom(func(t *rapid.T) string { return local.Draw(t, "local") + "@" + domain.Draw(t, "domain") })
		d := driver{model: m, run: run, domain: domain, anyone: anyone}
		actions := d.domainActions()
		maps.Copy(actions, d.accountActions())
		maps.Copy(actions, d.aliasActions())
		actions[""] = func(t *rapid.T) {
			m.compare(t, directory.View{R: &a.store})
			if !equalStores(&a.store, &b.store) {
				t.Fatal("replicas differ")
			}
		}
		t.Repeat(actions)
	})
}

// driver draws commands with what the model makes of them. run executes one, which has to be refused
// with the error given, or accepted.
type driver struct {
	*model
	run            func(error, command.Command, error) directory.Result
	domain, anyone *rapid.Generator[string]
}

func domainOf(address string) string { _, d, _ := strings.Cut(address, "@"); return d }

// free is the refusal that a new name meets.
func (m *model) free(address string, aliasToo bool) error {
	if _, ours := m.domains[domainOf(address)]; !ours {
		return directory.ErrNoDomain
	}
	if m.accounts[address] != 0 || aliasToo && m.aliases[address] != nil {
		return directory.ErrExists
	}
	return nil
}

func (m driver) domainActions() map[string]func(*rapid.T) {
	domain, anyone, run := m.domain, m.anyone, m.run
	return map[string]func(*rapid.T){
		"create domain": func(t *rapid.T) {
			name, want := domain.Draw(t, "name"), error(nil)
			if _, ok := m.domains[name]; ok {
				want = directory.ErrExists
			}
			c, err := directory.CreateDomain(name, "")
			if run(want, c, err); want == nil {
				m.domains[name] = ""
			}
		},
		"catch all": func(t *rapid.T) {
			name, to, want := domain.Draw(t, "name"), anyone.Draw(t, "to"), error(nil)
			if _, ok := m.domains[name]; !ok {
				want = directory.ErrNoDomain
			}
			c, err := directory.UpdateDomain(name, to)
			if run(want, c, err); want == nil {
				m.domains[name] = to
			}
		},
		"delete domain": func(t *rapid.T) {
			name, want := domain.Draw(t, "name"), error(nil)
			if _, ok := m.domains[name]; !ok {
				want = directory.ErrNoDomain
			}
			for address := range maps.Keys(m.accounts) {
				if domainOf(address) == name {
					want = directory.ErrInUse
				}
			}
			for address := range maps.Keys(m.aliases) {
				if domainOf(address) == name {
					want = directory.ErrInUse
				}
			}
			c, err := directory.DeleteDomain(name)
			if run(want, c, err); want == nil {
				delete(m.domains, name)
			}
		},
	}
}

func (m driver) accountActions() map[string]func(*rapid.T) {
	anyone, run := m.anyone, m.run
	return map[string]func(*rapid.T){
		"create account": func(t *rapid.T) {
			address := anyone.Draw(t, "address")
			want := m.free(address, true)
			c, err := directory.CreateAccount(directory.AccountSpec{Address: strings.ToUpper(address)})
			if result := run(want, c, err); want == nil {
				m.last++
				m.accounts[address] = m.last
				if result.Account != m.last {
					t.Fatalf("account %d, want %d", result.Account, m.last)
				}
			}
		},
		"rename account": func(t *rapid.T) {
			from, to := anyone.Draw(t, "from"), anyone.Draw(t, "to")
			id, want := m.accounts[from], m.free(to, true)
			if id == 0 {
				return
			}
			if from == to {
				want = nil
			}
			c, err := directory.UpdateAccount(id, directory.AccountChange{Address: &to})
			if run(want, c, err); want == nil {
				delete(m.accounts, from)
				m.accounts[to] = id
			}
		},
		"delete account": func(t *rapid.T) {
			address := anyone.Draw(t, "address")
			if id := m.accounts[address]; id != 0 {
				c, err := directory.DeleteAccount(id)
				run(nil, c, err)
				delete(m.accounts, address)
			}
		},
	}
}

func (m driver) aliasActions() map[string]func(*rapid.T) {
	anyone, run := m.anyone, m.run
	return map[string]func(*rapid.T){
		"put alias": func(t *rapid.T) {
			address := anyone.Draw(t, "address")
			targets := rapid.SliceOfN(anyone, 1, 3).Draw(t, "targets")
			want := m.free(address, false)
			if slices.Contains(targets, address) {
				want = directory.ErrInvalid
			}
			c, err := directory.PutAlias(address, targets...)
			if run(want, c, err); want == nil {
				m.aliases[address] = targets
			}
		},
		"delete alias": func(t *rapid.T) {
			address, want := anyone.Draw(t, "address"), error(nil)
			if m.aliases[address] == nil {
				want = directory.ErrNotFound
			}
			c, err := directory.DeleteAlias(address)
			run(want, c, err)
			delete(m.aliases, address)
		},
	}
}

// compare holds reads against the model.
func (m *model) compare(t *rapid.T, v directory.View) {
	for _, d := range []string{"x.example", "y.example", "z.example"} {
		for _, l := range []string{"a", "b", "c", "a+1", "b+c", "c+q", "none"} {
			m.compareOne(t, v, l+"@"+d)
		}
	}
	accounts, err := v.Accounts("", "", 0)
	if err != nil || len(accounts) != len(m.accounts) {
		t.Fatalf("%d accounts, %v; want %d", len(accounts), err, len(m.accounts))
	}
	counted := uint64(0)
	for g := cluster.GroupID(1); g <= 3; g++ {
		n, err := v.PartitionAccounts(g)
		if err != nil {
			t.Fatal(err)
		}
		counted += n
	}
	if counted != uint64(len(accounts)) {
		t.Fatalf("partitions count %d accounts of %d", counted, len(accounts))
	}
	for _, account := range accounts {
		if id := m.accounts[account.Address]; id != account.ID {
			t.Fatalf("%s is account %d, want %d", account.Address, account.ID, id)
		}
	}
	last, _, err := v.R.Get([]byte{0x12, 0x01})
	if err != nil || m.last > 0 && binary.BigEndian.Uint64(last) != uint64(m.last) {
		t.Fatalf("the last account is %x, %v; want %d", last, err, m.last)
	}
}

func (m *model) compareOne(t *rapid.T, v directory.View, address string) {
	_, domain, _ := strings.Cut(address, "@")
	got, err := v.Resolve(address)
	if _, ours := m.domains[domain]; !ours {
		if !errors.Is(err, directory.ErrNoDomain) {
			t.Fatalf("%s, which is not ours: %v, %v", address, got, err)
		}
		return
	}
	want := m.reach(address)
	if len(want) == 0 {
		if !errors.Is(err, directory.ErrNoUser) {
			t.Fatalf("%s leads to nobody, but: %v, %v", address, got, err)
		}
		return
	}
	found := make(map[string]bool)
	for _, target := range got.Accounts {
		found[target.Account.Address] = true
	}
	for _, remote := range got.Remote {
		found[remote] = true
	}
	if err != nil || !maps.Equal(found, want) || len(found) != len(got.Accounts)+len(got.Remote) {
		t.Fatalf("%s leads to %v, %v; want %v", address, slices.Sorted(maps.Keys(found)), err, slices.Sorted(maps.Keys(want)))
	}
}
