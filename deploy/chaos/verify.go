package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// verifyPatience is how long reading everything back and comparing may take.
const verifyPatience = 5 * time.Minute

// verify compares the replicas, and reads everything through each node.
func (c *chaos) verify(ctx context.Context) (*audit, error) {
	if c.out != nil {
		if err := c.drain(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	if c.bucket != nil {
		if err := c.flushStore(ctx); err != nil {
			return nil, err
		}
	}
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

// verifyStore holds the bucket against what the cluster says of it, and prints what it found.
func (c *chaos) verifyStore(ctx context.Context) error {
	if c.bucket == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	b, err := c.auditStore(ctx)
	if err != nil {
		return err
	}
	fmt.Println(b)
	if complaint := b.complaint(); complaint != "" {
		return fmt.Errorf("the object store is not as it should be:\n%s", complaint)
	}
	return nil
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
			if c.out != nil {
				found = c.out.reported(n.Name, found)
			}
			a.check(cl.book, n.Name, found)
			return nil
		})
	}
	return a, messages, group.Wait()
}
