package pebblelog

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestRepeats: a failure that Pebble repeats every few milliseconds is one line, not a full disk more.
func TestRepeats(t *testing.T) {
	var out bytes.Buffer
	listener := New(slog.New(slog.NewTextHandler(&out, nil)), "state").Listener()
	for range 1000 {
		listener.BackgroundError(errors.New("no such directory"))
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Errorf("%d lines for one failure", lines)
	}
	var l limit
	start := time.Unix(1, 0)
	if !l.pass(start) || l.pass(start.Add(quiet-1)) || !l.pass(start.Add(quiet)) {
		t.Error("what passes is not one in each time of quiet")
	}
}

// TestFatal: Pebble relies on not coming back.
func TestFatal(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "manifest") {
			t.Errorf("recovered %v", p)
		}
	}()
	New(nil, "log").Fatalf("cannot write the %s", "manifest")
}
