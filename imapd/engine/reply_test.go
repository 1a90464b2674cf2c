package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// TestNoRoomIsTemporary: a client may try again, and is told what there is no room in.
func TestNoRoomIsTemporary(t *testing.T) {
	for err, text := range map[error]string{index.ErrStagingFull: "object store", cluster.ErrStorageFull: "disk"} {
		r, goesOn := replyTo(fmt.Errorf("append to %q: %w", "INBOX", err))
		if !goesOn || r.kind != wire.NO || r.code != "UNAVAILABLE" || !strings.Contains(r.text, text) {
			t.Errorf("%v: %+v, %v", err, r, goesOn)
		}
	}
}
