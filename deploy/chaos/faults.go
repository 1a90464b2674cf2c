package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// faults carries out the plan, one fault each cycle, and heals the last one.
func (c *chaos) faults(ctx context.Context, plan []fault) error {
	cycle := time.Duration(c.seconds * float64(time.Second))
	for i, f := range plan {
		end := time.Now().Add(cycle)
		before := c.load.counts()
		if c.out != nil {
			c.out.struck(f)
		}
		if err := c.inject(ctx, f); err != nil {
			return fmt.Errorf("cycle %d, %v: %w", i+1, f, err)
		}
		if err := rest(ctx, f.hold); err != nil {
			return err
		}
		if err := errors.Join(c.heal(f), c.giveStore(ctx, f.store)); err != nil {
			return fmt.Errorf("cycle %d, heal %v: %w", i+1, f, err)
		}
		if c.out != nil {
			c.out.mended()
		}
		if err := rest(ctx, time.Until(end)); err != nil {
			return err
		}
		now := c.load.counts()
		c.say("cycle %d of %d: %v; %d messages (+%d) and %d changes (+%d) acknowledged, %d outcomes unknown",
			i+1, len(plan), f, now.accepted, now.accepted-before.accepted, now.changes, now.changes-before.changes, now.unknown)
		for _, n := range c.cluster.Nodes() {
			if err := n.Crashed(); err != nil {
				return fmt.Errorf("cycle %d, after %v: %w", i+1, f, err)
			}
		}
	}
	return nil
}

// stopPatience is how long a node may take to end after SIGTERM.
const stopPatience = 30 * time.Second

func (c *chaos) inject(ctx context.Context, f fault) error {
	if err := c.takeStore(f.store); err != nil {
		return err
	}
	node := c.cluster.Node(f.node)
	switch f.kind {
	case kindKill:
		node.Kill()
	case kindOutage:
		for _, n := range c.cluster.Nodes() {
			n.Kill()
		}
	case kindStop:
		ctx, cancel := context.WithTimeout(ctx, stopPatience)
		defer cancel()
		return node.Stop(ctx)
	case kindCut:
		c.cluster.Network().Cut(harness.Closed, f.node)
	case kindSilence:
		c.cluster.Network().Cut(harness.Silent, f.node)
	case kindLink:
		c.cluster.Network().CutLink(harness.Silent, f.node, f.other)
	case kindFreeze:
		return node.Pause()
	}
	return nil
}

func (c *chaos) heal(f fault) error {
	switch f.kind {
	case kindKill, kindStop:
		return c.cluster.Node(f.node).Start()
	case kindOutage:
		var errs []error
		for _, n := range c.cluster.Nodes() {
			errs = append(errs, n.Start())
		}
		return errors.Join(errs...)
	case kindFreeze:
		return c.cluster.Node(f.node).Resume()
	}
	c.cluster.Network().Heal()
	return nil
}

// rest waits, or says that the run was interrupted.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
