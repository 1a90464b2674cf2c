package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/inbound"
)

// toldTokens is how many tokens a finding names.
const toldTokens = 5

// opinions gives what is thought of a message by account, 0 being the cluster: nil where too little is known. The message is read once,
// when the first account asks for which something is known: until much was learnt that is never.
func (s *spam) opinions(ctx context.Context, l *missive) func(index.AccountID) *inbound.Learned {
	if !s.settings().Bayes {
		return func(index.AccountID) *inbound.Learned { return nil }
	}
	read := sync.OnceValue(func() *bayes.Tokens { return s.tokens(l) })
	return func(a index.AccountID) *inbound.Learned {
		known := s.models.Of(ctx, a)
		if !known.Know() {
			return nil
		}
		tokens := read()
		if tokens == nil {
			return nil
		}
		o, ok := known.Classify(tokens)
		if !ok {
			return nil
		}
		return &inbound.Learned{Probability: o.Probability, Score: o.Score, Detail: opinionWords(o)}
	}
}

// tokens reads a message as it will be stored, and learnt from; nil where it cannot be read.
func (s *spam) tokens(l *missive) *bayes.Tokens {
	tokens, err := bayes.Read(io.MultiReader(bytes.NewReader(l.trace), l.text.Reader()), int64(len(l.trace))+l.text.Size())
	if err != nil {
		s.n.log.Warn("a message could not be classified", "id", l.id, "error", err)
		return nil
	}
	return tokens
}

// opinionWords say how an opinion came to be.
func opinionWords(o bayes.Opinion) string {
	out := fmt.Appendf(make([]byte, 0, 160), "%.3f by %d words: ", o.Probability, o.Used)
	for i, t := range o.Tokens[:min(len(o.Tokens), toldTokens)] {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = strconv.AppendFloat(append(append(out, t.Text...), ' '), t.Probability, 'f', 2, 64)
	}
	return string(out)
}
