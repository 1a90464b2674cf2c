package node

import "context"

func (n *Node) openGossip(context.Context) error { return nil }
