package authn

import (
	"context"
	"net/netip"

	"github.com/rookery-mail/rookery/mta/iprev"
	"github.com/rookery-mail/rookery/mta/spf"
)

// senderKept finds out what sender does from answers that are kept, with nothing side by side: most hosts come again, and to start
// goroutines for them costs more than to ask. ok is false where an answer is missing, and what was found out is worth nothing then.
func (c *Checker) senderKept(ctx context.Context, ask spf.Query) (s Sender, ok bool) {
	if c.c.Kept == nil {
		return s, false
	}
	k := &kept{r: c.c.Kept}
	if s.SPF = spf.Check(ctx, ask, k); k.missing {
		return s, false
	}
	if s.IPRev = iprev.Check(ctx, ask.Client, k); k.missing {
		return s, false
	}
	if ask.From != "" {
		s.Helo = spf.Check(ctx, ask.OfHelo(), k)
	}
	return s, !k.missing
}

// kept is a Resolver of answers that are kept, for one goroutine. It notes whether one was missing.
type kept struct {
	r       Resolver
	missing bool
}

// noted notes an error of an answer.
func noted[T any](k *kept, answer T, err error) (T, error) {
	k.missing = k.missing || err != nil
	return answer, err
}

func (k *kept) Texts(ctx context.Context, name string) ([]string, error) {
	list, err := k.r.Texts(ctx, name)
	return noted(k, list, err)
}

func (k *kept) A(ctx context.Context, name string) ([]netip.Addr, error) {
	list, err := k.r.A(ctx, name)
	return noted(k, list, err)
}

func (k *kept) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	list, err := k.r.AAAA(ctx, name)
	return noted(k, list, err)
}

func (k *kept) Exchangers(ctx context.Context, name string) ([]string, error) {
	list, err := k.r.Exchangers(ctx, name)
	return noted(k, list, err)
}

func (k *kept) Names(ctx context.Context, address netip.Addr) ([]string, error) {
	list, err := k.r.Names(ctx, address)
	return noted(k, list, err)
}
