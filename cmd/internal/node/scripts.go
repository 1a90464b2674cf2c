package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/script"
	"github.com/rookery-mail/rookery/mta/sieve"
)

// maxCompiled bounds the scripts that are kept as they were compiled.
const maxCompiled = 2000

// defaultScript is the name of the script of the cluster that is run for accounts without an active one; with "@" and a domain behind
// it, for those of the domain.
const defaultScript = "default"

// scripts has the scripts of accounts ready to be run. What is compiled is kept while its text is the same.
type scripts struct {
	n         *Node
	fallbacks moment[struct{}, bool] // whether there are scripts for those who have none

	mu       sync.Mutex
	compiled map[string]compiled // guarded by mu: by whose it is and its name
}

type compiled struct {
	text   string
	script *sieve.Script
	err    error
}

// openScripts makes ready for scripts.
func (n *Node) openScripts() {
	n.scripts = &scripts{n: n, fallbacks: moment[struct{}, bool]{most: 1}, compiled: map[string]compiled{}}
}

// compile gives a script that is run, from the last time where its text is the same.
func (s *scripts) compile(whose, name string, text []byte) (*sieve.Script, error) {
	key := whose + "\x00" + name
	s.mu.Lock()
	c, ok := s.compiled[key]
	s.mu.Unlock()
	if ok && c.text == string(text) {
		return c.script, c.err
	}
	c = compiled{text: string(text)}
	c.script, c.err = sieve.Compile(text, sieve.Limits{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.compiled) >= maxCompiled {
		clear(s.compiled)
	}
	s.compiled[key] = c
	return c.script, c.err
}

// maxScriptless bounds the accounts of a partition that are remembered for having no script.
const maxScriptless = 10_000

// none reports whether it is known that no script is run for an account: it has none that is active, as it was read from the replica
// here before, and there is none for those who have none.
func (s *scripts) none(a index.AccountID) bool {
	if any, err := s.defaults(); err != nil || any {
		return false
	}
	g, err := s.n.locate(a)
	if err != nil {
		return false
	}
	r, err := s.n.fresh(g)
	if err != nil {
		return false
	}
	at := cluster.LogIndex(r.scripts.Version()) // before the snapshot
	if _, ok := r.scriptless.get(r, at, a); ok {
		return true
	}
	snapshot := r.Snapshot()
	defer snapshot.Close()
	all, err := script.Summary(snapshot, a)
	if err != nil || all.Active != "" {
		return false
	}
	r.scriptless.put(r, at, a, struct{}{})
	return true
}

// active is the script that is run for an account, nil for none. where reads its partition.
func (s *scripts) active(where kv.Reader, a index.AccountID) (*sieve.Script, string, error) {
	all, err := script.Summary(where, a)
	if err != nil {
		return nil, "", fmt.Errorf("read which script is active: %w", err)
	}
	if all.Active == "" {
		return s.byDefault(a)
	}
	found, err := script.Load(where, a, all.Active)
	if err != nil {
		return nil, "", fmt.Errorf("read the active script: %w", err)
	}
	compiled, err := s.compile(accountWord(a), found.Name, found.Text)
	return compiled, found.Name, err
}

// byDefault is the script of a domain, or of the cluster, for those who have none.
func (s *scripts) byDefault(a index.AccountID) (*sieve.Script, string, error) {
	if any, err := s.defaults(); err != nil || !any {
		return nil, "", err
	}
	_, domain, _ := strings.Cut(s.n.addressOf(a), "@")
	for _, name := range []string{defaultScript + "@" + domain, defaultScript} {
		found, err := s.global(name)
		if errors.Is(err, sieve.ErrNoScript) {
			continue
		}
		return found, name, err
	}
	return nil, "", nil
}

// defaults reports whether there is any script for those who have none. Each message asks.
func (s *scripts) defaults() (bool, error) {
	return remembered(s.n, &s.fallbacks, struct{}{}, hasDefaults)
}

func hasDefaults(v directory.View) (any bool, err error) {
	err = v.EachMailRecord(directory.MailSieveScript, defaultScript, func(m *directorypb.MailRecord) error {
		any = any || m.Name == defaultScript || strings.HasPrefix(m.Name, defaultScript+"@")
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read the scripts of the cluster: %w", err)
	}
	return any, nil
}

// global is a script of the cluster: sieve.ErrNoScript.
func (s *scripts) global(name string) (found *sieve.Script, err error) {
	var text []byte
	err = s.n.view(func(v directory.View) error {
		rec, err := v.MailRecord(directory.MailSieveScript, name)
		text = rec.GetSieveScript().GetText()
		return err
	})
	if errors.Is(err, directory.ErrNotFound) {
		return nil, sieve.ErrNoScript
	}
	if err != nil {
		return nil, fmt.Errorf("read the script %q of the cluster: %w", name, err)
	}
	return s.compile("", name, text)
}

func accountWord(a index.AccountID) string { return strconv.FormatUint(uint64(a), 10) }

// included finds the scripts that one of an account includes (RFC 6609).
type included struct {
	s       *scripts
	where   kv.Reader
	account index.AccountID
}

var _ sieve.Scripts = included{}

// Script implements sieve.Scripts.
func (i included) Script(where sieve.Location, name string) (*sieve.Script, error) {
	if where == sieve.Global {
		return i.s.global(name)
	}
	found, err := script.Load(i.where, i.account, name)
	if errors.Is(err, script.ErrNoScript) {
		return nil, sieve.ErrNoScript
	}
	if err != nil {
		return nil, fmt.Errorf("read an included script: %w", err)
	}
	return i.s.compile(accountWord(i.account), name, found.Text)
}

// folders are the mailboxes of an account as a script asks for them. They are read when it first does.
type folders struct {
	n       *Node
	ctx     context.Context
	account index.AccountID

	read bool
	all  []index.Mailbox
}

var _ sieve.Mailboxes = (*folders)(nil)

func (f *folders) list() []index.Mailbox {
	if f.read {
		return f.all
	}
	f.read = true
	all, err := f.n.mailboxesOf(f.ctx, f.account)
	if err != nil {
		f.n.log.Warn("the mailboxes of an account are not known to its script", "account", f.account, "error", err)
		return nil
	}
	f.all = all
	return all
}

// find is the name of the mailbox that is meant.
func (f *folders) find(is func(index.Mailbox) bool) (string, bool) {
	for _, m := range f.list() {
		if m.ID != 0 && is(m) {
			return m.Name, true
		}
	}
	return "", false
}

// Exists implements sieve.Mailboxes.
func (f *folders) Exists(name string) bool {
	if strings.EqualFold(name, index.Inbox) {
		return true
	}
	_, ok := f.find(func(m index.Mailbox) bool { return m.Name == name })
	return ok
}

// ByID implements sieve.Mailboxes. The ids are those that IMAP shows (RFC 8474).
func (f *folders) ByID(id string) (string, bool) {
	return f.find(func(m index.Mailbox) bool { return fmt.Sprintf("F%d-%d", f.account, m.ID) == id })
}

// BySpecialUse implements sieve.Mailboxes.
func (f *folders) BySpecialUse(use string) (string, bool) {
	bit := useNamed(use)
	return f.find(func(m index.Mailbox) bool { return m.SpecialUse&bit != 0 })
}

// useNamed is the special use of a name such as "\Junk" (RFC 6154), 0 for none that is known.
func useNamed(name string) index.SpecialUse {
	switch strings.ToLower(name) {
	case `\all`:
		return index.UseAll
	case `\archive`:
		return index.UseArchive
	case `\drafts`:
		return index.UseDrafts
	case `\flagged`:
		return index.UseFlagged
	case `\junk`:
		return index.UseJunk
	case `\sent`:
		return index.UseSent
	case `\trash`:
		return index.UseTrash
	case `\important`:
		return index.UseImportant
	}
	return 0
}
