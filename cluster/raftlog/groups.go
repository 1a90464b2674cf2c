package raftlog

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/cluster"
)

// Groups lists the groups of which the database holds anything, ascending. Its cost is a seek per
// group.
func (d *DB) Groups() ([]cluster.GroupID, error) {
	it, err := d.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the groups of the log: %w", err)
	}
	var groups []cluster.GroupID
	for ok := it.First(); ok; {
		g := cluster.GroupID(binary.BigEndian.Uint16(it.Key()))
		groups = append(groups, g)
		_, upper := groupBounds(g)
		ok = it.SeekGE(upper)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("list the groups of the log: %w", err)
	}
	return groups, nil
}
