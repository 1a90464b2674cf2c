package node

import (
	"fmt"
	"os"

	"github.com/rookery-mail/rookery/mta/smtpd"
)

// openInbound makes ready for messages that wait for a verdict.
func (n *Node) openInbound() error {
	if err := os.MkdirAll(n.layout.spool(), 0o700); err != nil {
		return fmt.Errorf("make the directory of messages that wait: %w", err)
	}
	n.filters = newFilters(n)
	return nil
}

// checks are what is asked about mail that comes in; nil where it is not looked at.
func (n *Node) checks() smtpd.Checks { return nil }
