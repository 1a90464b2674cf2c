// Package iprev says by which of its names a client is known (RFC 8601, section 3): one that an address leads to and that
// leads back to the address. DNS comes in as an interface.
package iprev

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Result is what a check comes to (RFC 8601, section 2.7.3).
type Result string

// The results.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"      // there are names, none leads back
	TempError Result = "temperror" // DNS gives no answer for now
	PermError Result = "permerror" // there is no name
)

// MaxNames is how many names of an address are looked at.
const MaxNames = 10

// Resolver answers questions of DNS. That there is nothing is an empty list without an error; an error is temporary.
type Resolver interface {
	Names(ctx context.Context, address netip.Addr) ([]string, error)
	A(ctx context.Context, name string) ([]netip.Addr, error)
	AAAA(ctx context.Context, name string) ([]netip.Addr, error)
}

// Outcome is what a check came to.
type Outcome struct {
	Result  Result
	Name    string   // the first that leads back, in lower case; empty but for Pass
	Names   []string // all that the address leads to, at most MaxNames
	Problem string   // why there is no Name
}

// Check looks up the names of a client, and whether they lead back to it.
func Check(ctx context.Context, client netip.Addr, r Resolver) Outcome {
	client = client.Unmap()
	names, err := r.Names(ctx, client)
	switch {
	case err != nil:
		return Outcome{Result: TempError, Problem: err.Error()}
	case len(names) == 0:
		return Outcome{Result: PermError, Problem: fmt.Sprintf("%s has no name", client)}
	}
	if len(names) > MaxNames {
		names = names[:MaxNames]
	}
	ask := r.A
	if client.Is6() {
		ask = r.AAAA
	}
	o := Outcome{Result: Fail, Problem: fmt.Sprintf("no name of %s leads back to it", client)}
	for _, name := range names {
		o.Names = append(o.Names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	for _, name := range o.Names {
		addresses, err := ask(ctx, name)
		if err != nil {
			o.Result, o.Problem = TempError, err.Error() // unless another name leads back
		} else if slices.Contains(addresses, client) {
			return Outcome{Result: Pass, Name: name, Names: o.Names}
		}
	}
	return o
}
