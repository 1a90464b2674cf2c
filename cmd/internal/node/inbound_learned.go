package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// toldTokens is how many tokens a finding names.
const toldTokens = 5

// opinions reads a message once, and gives what is thought of it by account, 0 being the cluster: nil where too little is known.
func (s *spam) opinions(ctx context.Context, l *missive) func(index.AccountID) *inbound.Learned {
	none := func(index.AccountID) *inbound.Learned { return nil }
	if !s.settings().Bayes {
		return none
	}
	tokens, err := bayes.Read(io.MultiReader(bytes.NewReader(l.trace), l.text.Reader())) // as it will be stored, and learnt from
	if err != nil {
		s.n.log.Warn("a message could not be classified", "id", l.id, "error", err)
		return none
	}
	return func(a index.AccountID) *inbound.Learned {
		o, ok := s.classify(ctx, a, tokens)
		if !ok {
			return nil
		}
		return &inbound.Learned{Probability: o.Probability, Score: o.Score, Detail: opinionWords(o)}
	}
}

// opinionWords say how an opinion came to be.
func opinionWords(o bayes.Opinion) string {
	var words []string
	for _, t := range o.Tokens[:min(len(o.Tokens), toldTokens)] {
		words = append(words, fmt.Sprintf("%s %.2f", t.Text, t.Probability))
	}
	return fmt.Sprintf("%.3f by %d words: %s", o.Probability, o.Used, strings.Join(words, ", "))
}
