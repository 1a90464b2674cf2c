package directory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// maxDepth bounds how many aliases may stand behind each other, maxVisits how many addresses one
// recipient may lead to in all.
const (
	maxDepth  = 10
	maxVisits = 2000
)

// Target is an account that a recipient leads to.
type Target struct {
	Account Account
	Detail  string // of the subaddress by which it was reached: user+detail@domain
}

// Resolution is whom the mail for one recipient goes to. Each account and each remote address is in it
// once, in the order of the aliases.
type Resolution struct {
	Accounts []Target // disabled ones too
	Remote   []string // addresses elsewhere that aliases lead to, in canonical text
	Broken   []string // targets of aliases that nobody has, or behind too many aliases
}

// Resolve finds out whom a recipient is. An address leads to the account or alias that has it; else to
// that of the address without its subaddress; else to the domain's catch-all; and postmaster and tls-reports at last
// to the setting postmaster, the first administrator, or the first account. "postmaster" without a
// domain is taken too. Errors are ErrInvalid, ErrNoDomain (not ours: the mail would be relayed) and
// ErrNoUser.
func (v View) Resolve(text string) (Resolution, error) {
	var w walk
	if strings.EqualFold(text, Postmaster) {
		found, err := w.postmaster(v)
		return w.finish(text, found, err)
	}
	a, err := address.Parse(text)
	if err != nil {
		return Resolution{}, invalid(err)
	}
	if a.IsLiteral() {
		return Resolution{}, refuse(ErrNoDomain, "%s is not in a domain of this cluster", a)
	}
	if err := needDomain(v.R, a.Domain); err != nil {
		return Resolution{}, err
	}
	found, err := w.local(v, a, 0)
	return w.finish(a.String(), found, err)
}

// Owns reports whether mail for the address comes to the account, so that it may also send under it.
func (v View) Owns(id cluster.AccountID, text string) (bool, error) {
	r, err := v.Resolve(text)
	if errors.Is(err, ErrNoUser) || errors.Is(err, ErrNoDomain) || errors.Is(err, ErrInvalid) {
		return false, nil
	}
	for _, target := range r.Accounts {
		if target.Account.ID == id {
			return true, nil
		}
	}
	return false, err
}

// walk follows the aliases of one recipient.
type walk struct {
	out     Resolution
	visited map[string]bool // canonical texts, so that loops end
}

func (w *walk) finish(text string, found bool, err error) (Resolution, error) {
	if err != nil {
		return Resolution{}, fmt.Errorf("resolve %s: %w", text, err)
	}
	if w.size() > 0 {
		return w.out, nil
	}
	if len(w.out.Broken) > 0 {
		return Resolution{}, refuse(ErrNoUser, "%s leads to nobody: there is no %s", text, strings.Join(w.out.Broken, ", "))
	}
	if found {
		return Resolution{}, refuse(ErrNoUser, "%s leads to nobody: its aliases point to each other", text)
	}
	return Resolution{}, refuse(ErrNoUser, "there is no user %s", text)
}

// visit reports whether an address is met for the first time.
func (w *walk) visit(text string) bool {
	if w.visited[text] || len(w.visited) >= maxVisits {
		return false
	}
	if w.visited == nil {
		w.visited = make(map[string]bool)
	}
	w.visited[text] = true
	return true
}

// follow adds what a target of an alias or a catch-all leads to.
func (w *walk) follow(v View, text string, depth int) error {
	a, err := address.Parse(text)
	if err != nil || depth > maxDepth {
		w.out.Broken = append(w.out.Broken, text)
		return nil
	}
	ours, err := exists(v.R, domainKey(a.Domain))
	if err != nil {
		return err
	}
	if !ours {
		if w.visit(a.String()) {
			w.out.Remote = append(w.out.Remote, a.String())
		}
		return nil
	}
	if !w.visit(a.Fold().String()) {
		return nil
	}
	found, err := w.local(v, a, depth)
	if err == nil && !found {
		w.out.Broken = append(w.out.Broken, text)
	}
	return err
}

// local adds what an address in one of our domains leads to. Somebody always has postmaster, tls-reports and dmarc-reports.
func (w *walk) local(v View, a address.Address, depth int) (found bool, err error) {
	if depth == 0 {
		w.visit(a.Fold().String())
	}
	before := w.size()
	found, err = w.named(v, a, depth)
	if err != nil || !isRole(a.Fold().Local) || w.size() > before {
		return found, err
	}
	return w.postmaster(v)
}

// named is local without the rule that somebody is always postmaster.
func (w *walk) named(v View, a address.Address, depth int) (found bool, err error) {
	if found, err = w.exact(v, a, "", depth); found || err != nil {
		return found, err
	}
	delimiters, err := v.delimiters()
	if err != nil {
		return false, err
	}
	if base, detail, ok := a.Split(delimiters); ok {
		if found, err = w.exact(v, base, detail, depth); found || err != nil {
			return found, err
		}
	}
	var domain directorypb.Domain
	if _, err := load(v.R, domainKey(a.Domain), &domain); err != nil {
		return false, err
	}
	if domain.CatchAll == "" {
		return false, nil
	}
	return true, w.follow(v, domain.CatchAll, depth+1)
}

// size is how many the walk found so far.
func (w *walk) size() int { return len(w.out.Accounts) + len(w.out.Remote) }

// exact adds the account or the targets of the alias that has the address, whatever its case.
func (w *walk) exact(v View, a address.Address, detail string, depth int) (found bool, err error) {
	text := a.Fold().String()
	account, found, err := v.accountAt(text)
	if err != nil {
		return false, err
	}
	if found {
		w.add(account, detail)
		return true, nil
	}
	var alias directorypb.Alias
	if found, err = load(v.R, addressKey(keyAlias, text), &alias); err != nil || !found {
		return false, err
	}
	for _, target := range alias.Targets {
		if err := w.follow(v, target, depth+1); err != nil {
			return true, err
		}
	}
	return true, nil
}

func (w *walk) add(account Account, detail string) {
	for _, target := range w.out.Accounts {
		if target.Account.ID == account.ID {
			return
		}
	}
	w.out.Accounts = append(w.out.Accounts, Target{Account: account, Detail: detail})
}

// delimiters is the setting subaddress_delimiter alone, since every recipient asks for it.
func (v View) delimiters() (string, error) {
	var m directorypb.Setting
	set, err := load(v.R, settingKey("subaddress_delimiter"), &m)
	if err == nil && !set {
		return defaultDelimiter, nil
	}
	return m.Value, err
}
