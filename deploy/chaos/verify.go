package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// verifyPatience is how long reading everything back and comparing may take.
const verifyPatience = 5 * time.Minute

// verify compares the replicas, and reads everything through each node.
func (c *chaos) verify(ctx context.Context) (*audit, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	groups, err := c.cluster.WaitEqual(ctx)
	if err != nil {
		return nil, err
	}
	c.say("all replicas of all %d groups are equal", groups)
	var result *audit
	for _, n := range c.cluster.Nodes() {
		began := time.Now()
		a, messages, err := c.auditNode(ctx, n)
		if err != nil {
			return nil, err
		}
		c.say("read %d messages through %s in %.1f s", messages, n.Name, time.Since(began).Seconds())
		if result == nil {
			result = a
		} else {
			result.join(a)
		}
	}
	result.worstGap = c.load.worstGap()
	result.groups, result.unknown = groups, c.load.counts().unknown
	return result, nil
}

// auditNode reads all accounts through one node.
func (c *chaos) auditNode(ctx context.Context, n *harness.Node) (a *audit, messages int, err error) {
	a = &audit{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3)
	for _, cl := range c.clients {
		group.Go(func() error {
			found, err := n.ReadAll(ctx, cl.address, cl.password)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			messages += len(found)
			a.check(cl.book, n.Name, found)
			return nil
		})
	}
	return a, messages, group.Wait()
}
