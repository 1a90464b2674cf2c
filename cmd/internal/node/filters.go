package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/chain"
)

// filters are those of the directory, as they are at each message.
type filters struct {
	n     *Node
	chain *chain.Chain
	known moment[struct{}, []filter.Setting]

	mu  sync.Mutex // guards set
	set []filter.Setting
}

func newFilters(n *Node) *filters {
	return &filters{n: n, chain: chain.New(chain.Config{Logger: n.log, Clock: time.Now}), known: moment[struct{}, []filter.Setting]{most: 1}}
}

// any reports whether there are filters that a message would be shown to.
func (f *filters) any() (bool, error) {
	list, err := f.read()
	return slices.ContainsFunc(list, func(s filter.Setting) bool { return !s.Paused }), err
}

// run asks the filters about a message. Each is asked within its own time, and all end with ctx. The error is that of a directory that
// cannot be read.
func (f *filters) run(ctx context.Context, m filter.Message) (filter.Outcome, error) {
	if err := f.refresh(); err != nil {
		return filter.Outcome{}, err
	}
	return f.chain.Run(ctx, m), nil
}

// refresh has the chain be what the directory says.
func (f *filters) refresh() error {
	list, err := f.read()
	if err != nil {
		return fmt.Errorf("read the filters: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(list, f.set) {
		f.chain.Set(list)
		f.set = list
	}
	return nil
}

// read gives the settings that the directory has, by name.
func (f *filters) read() ([]filter.Setting, error) {
	return remembered(f.n, &f.known, struct{}{}, filterSettings)
}

func filterSettings(v directory.View) (list []filter.Setting, err error) {
	err = v.EachMailRecord(directory.MailFilter, "", func(r *directorypb.MailRecord) error {
		list = append(list, filter.Of(r))
		return nil
	})
	return list, err
}
