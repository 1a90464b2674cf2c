package authn

import (
	"context"
	"errors"
	"sync"
)

// The bounds of what is asked about one message.
const (
	maxAhead = 12 // names whose texts are asked for before they are needed
	maxAsked = 80 // names whose texts are asked for at all: keys of 8 signatures and 50 seals, and records of DMARC
	abreast  = 6  // questions at a time
)

// errMany says that a message has more of DNS be asked than is done for one.
var errMany = errors.New("too many names are asked for")

// answers are texts of DNS for one message: each name is asked for once, whoever needs it, and some are asked for ahead.
type answers struct {
	Resolver
	kept Resolver      // nil: there is none
	room chan struct{} // for questions that are asked ahead
	work sync.WaitGroup

	mu    sync.Mutex // guards what follows
	texts map[string]*answer
}

// answer is filled when done is closed.
type answer struct {
	done  chan struct{}
	texts []string
	err   error
}

func newAnswers(r, kept Resolver) *answers {
	return &answers{Resolver: r, kept: kept, room: make(chan struct{}, abreast), texts: map[string]*answer{}}
}

// ahead asks for texts while something else is done.
func (a *answers) ahead(ctx context.Context, names []string) {
	for _, name := range names {
		is, first := a.claim(name, maxAhead)
		if !first || is == nil {
			continue
		}
		if a.kept != nil {
			if is.texts, is.err = a.kept.Texts(ctx, name); is.err == nil {
				close(is.done)
				continue
			}
		}
		a.work.Go(func() {
			defer close(is.done)
			select {
			case a.room <- struct{}{}:
				defer func() { <-a.room }()
				is.texts, is.err = a.Resolver.Texts(ctx, name)
			case <-ctx.Done():
				is.err = ctx.Err()
			}
		})
	}
}

// wait waits for what was asked ahead.
func (a *answers) wait() { a.work.Wait() }

// claim gives the answer to a name; first says that the caller is to fill it. It is nil where there is no room.
func (a *answers) claim(name string, most int) (is *answer, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if is = a.texts[name]; is != nil {
		return is, false
	}
	if len(a.texts) >= most {
		return nil, false
	}
	is = &answer{done: make(chan struct{})}
	a.texts[name] = is
	return is, true
}

// Texts is that of the Resolver, once for each name.
func (a *answers) Texts(ctx context.Context, name string) ([]string, error) {
	is, first := a.claim(name, maxAsked)
	switch {
	case is == nil:
		return nil, errMany
	case first:
		defer close(is.done)
		is.texts, is.err = a.Resolver.Texts(ctx, name)
		return is.texts, is.err
	}
	select {
	case <-is.done:
		return is.texts, is.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
