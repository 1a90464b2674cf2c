package object_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/objecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	memory := func(*testing.T) object.Bucket { return object.NewMemory() }
	quick := object.RetryConfig{Attempts: 5, First: time.Microsecond, Most: time.Microsecond}
	for name, open := range map[string]func(t *testing.T) object.Bucket{
		"memory": memory,
		"file":   openFile,
		"retry":  func(t *testing.T) object.Bucket { return object.NewRetry(memory(t), quick) },
		"limit": func(t *testing.T) object.Bucket {
			return object.NewLimit(memory(t), object.LimitConfig{Requests: 2, Sent: 1 << 30, Received: 1 << 30})
		},
		"count": func(t *testing.T) object.Bucket { return object.NewCount(memory(t)) },
		"fault": func(t *testing.T) object.Bucket { return object.NewFault(memory(t)) },
		// Readers break off, and nobody notices.
		"retry of broken readers": func(t *testing.T) object.Bucket {
			return object.NewRetry(newEverySecond(memory(t)), quick)
		},
	} {
		t.Run(name, func(t *testing.T) { objecttest.Contract(t, open) })
	}
}

func openFile(t *testing.T) object.Bucket {
	b, err := object.OpenFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
