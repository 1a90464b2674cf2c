// Package layers states which package may import which (docs/architecture.md, "The house"). Its
// test holds the table against what `go list` says; nothing imports it at run time.
package layers

import (
	"fmt"
	"strings"
)

// Kind is what a package is for. A package imports only its own kind or an earlier one.
type Kind int

// The kinds in the order in which they may import each other.
const (
	Words Kind = iota + 1 // types, constants, codecs, sentinels: no I/O, no goroutines, no clock
	Core                  // decides: time, randomness, answers and batches come in as parameters
	Shell                 // I/O, goroutines, retries; adapts one outside thing to one core
	Door                  // listens, speaks one protocol
	Joint                 // reads configuration, constructs, starts, stops
)

// String gives the kind's name.
func (k Kind) String() string {
	return [...]string{"none", "words", "core", "shell", "door", "joint"}[k]
}

// Module is the import path in front of every package of the table.
const Module = "github.com/rookery-mail/rookery/"

// Kinds is the table: every package of the module and its kind.
func Kinds() map[string]Kind {
	return map[string]Kind{
		"cluster":                         Words,
		"cluster/kv":                      Words,
		"cluster/command":                 Words,
		"cluster/directory/directorypb":   Words,
		"cluster/directory/address":       Core,
		"cluster/directory":               Core,
		"cluster/directory/credential":    Core,
		"cluster/directory/bearer":        Shell,
		"cluster/directory/bearertest":    Joint,
		"cluster/directory/login":         Shell,
		"cluster/directory/logintest":     Joint,
		"cluster/directory/directorytest": Joint,
		"cluster/exactlyonce":             Core,
		"cluster/placement":               Core,
		"cluster/transport":               Shell,
		"cluster/transport/heartbeat":     Shell,
		"cluster/transport/entries":       Shell,
		"cluster/transport/links":         Shell,
		"cluster/raftlog":                 Shell,
		"cluster/pebblelog":               Shell,
		"cluster/state":                   Shell,
		"cluster/group":                   Shell,
		"cluster/rpc":                     Shell,
		"cluster/router":                  Shell,
		"cluster/window":                  Shell,
		"cluster/ban":                     Core,
		"cluster/guard":                   Core,
		"cluster/membership":              Shell,
		"cluster/certs":                   Shell,
		"cluster/clustertest":             Joint,

		"blobstore":              Words,
		"blobstore/setting":      Words,
		"blobstore/pack":         Core,
		"blobstore/object":       Shell,
		"blobstore/object/s3":    Shell,
		"blobstore/object/place": Shell,
		"blobstore/objecttest":   Joint,
		"blobstore/reader":       Shell,
		"blobstore/packer":       Shell,
		"blobstore/gc":           Shell,
		"blobstore/packertest":   Joint,
		"blobstore/shelf":        Shell,
		"blobstore/scrub":        Shell,
		"index/packing":          Shell,

		"index":                         Words,
		"index/indexpb":                 Words,
		"index/keys":                    Words,
		"index/uidset":                  Words,
		"index/access":                  Words,
		"index/frame":                   Core,
		"index/message":                 Core,
		"index/mailbox":                 Core,
		"index/search":                  Core,
		"index/search/likeness":         Core,
		"index/search/trigram":          Core,
		"index/staging":                 Core,
		"index/partition":               Shell,
		"index/concordance":             Shell,
		"index/recovery":                Shell,
		"index/recovery/plan":           Core,
		"index/mailstore":               Shell,
		"index/mailstore/mailstoretest": Joint,

		"mta":                   Words,
		"mta/wire":              Core,
		"mta/queue/queuepb":     Words,
		"mta/attachment":        Core,
		"mta/authres":           Core,
		"mta/authn":             Shell,
		"mta/certtest":          Joint,
		"mta/dane":              Core,
		"mta/mtasts":            Core,
		"mta/mtasts/fetch":      Shell,
		"mta/mtasts/cache":      Shell,
		"mta/tlspolicy":         Core,
		"mta/dns":               Shell,
		"mta/remote":            Shell,
		"mta/dsn":               Core,
		"mta/dkim":              Core,
		"mta/dmarcpost":         Shell,
		"mta/dmarcreport":       Core,
		"mta/dmarc":             Core,
		"mta/iprev":             Core,
		"mta/spf":               Core,
		"mta/managesieve":       Door,
		"mta/managesieve/wire":  Core,
		"mta/script":            Core,
		"mta/script/scriptpb":   Words,
		"mta/sieve":             Core,
		"mta/sieve/letter":      Core,
		"mta/sieve/mailto":      Core,
		"mta/sieve/match":       Core,
		"mta/sieve/syntax":      Core,
		"mta/sorter":            Core,
		"mta/srs":               Core,
		"mta/batv":              Core,
		"mta/bayes":             Core,
		"mta/bayes/bayespb":     Words,
		"mta/bayes/lessons":     Shell,
		"mta/bayes/models":      Shell,
		"mta/bayes/training":    Core,
		"mta/arc":               Core,
		"mta/keychain":          Core,
		"mta/signing":           Shell,
		"mta/tlsrpt":            Core,
		"mta/receiver":          Core,
		"mta/runner":            Shell,
		"mta/shaping":           Core,
		"mta/dispatch":          Shell,
		"mta/egress":            Core,
		"mta/passage":           Shell,
		"mta/plan":              Words,
		"mta/route":             Core,
		"mta/spool":             Shell,
		"mta/filter":            Core,
		"mta/filter/chain":      Shell,
		"mta/filter/clamd":      Shell,
		"mta/filter/filtertest": Joint,
		"mta/filter/line":       Shell,
		"mta/filter/milter":     Shell,
		"mta/filter/rspamd":     Shell,
		"mta/filter/spamd":      Shell,
		"mta/dns/dnstest":       Joint,
		"mta/queue":             Core,
		"mta/queue/filter":      Core,
		"mta/queue/story":       Core,
		"mta/inbound":           Core,
		"mta/inbound/stamp":     Core,
		"mta/dnsbl":             Core,
		"mta/greylist":          Core,
		"mta/meter":             Core,
		"mta/policy":            Core,
		"mta/porter":            Shell,
		"mta/proxy":             Core,
		"mta/smtpd":             Door,
		"mta/survey":            Shell,
		"mta/reportbox":         Shell,
		"mta/httpd":             Door,
		"mta/reporter":          Shell,
		"mta/zone":              Core,
		"imapd/inflate":         Core,
		"imapd/wire":            Core,
		"imapd/view":            Core,
		"imapd/order":           Core,
		"imapd/engine":          Core,
		"imapd":                 Door,
		"cmd/rookery":           Joint,
		"cmd/internal/config":   Joint,
		"cmd/internal/bodies":   Joint,
		"cmd/internal/node":     Joint,
		"cmd/internal/adminapi": Door,
		"cmd/internal/layers":   Joint,
		"cmd/internal/lincheck": Joint,

		"bench/stats":         Core,
		"bench/corpus":        Core,
		"bench/load":          Shell,
		"bench/floor":         Shell,
		"bench/site":          Shell,
		"bench/scenario":      Joint,
		"bench/report":        Joint,
		"bench/ab":            Joint,
		"bench/goals":         Joint,
		"bench/rookery-bench": Joint,

		"deploy/harness":     Joint,
		"deploy/sink":        Joint,
		"deploy/stores":      Joint,
		"deploy/nameserver":  Shell,
		"deploy/filtertest":  Joint,
		"deploy/netnstest":   Joint,
		"deploy/demo":        Joint,
		"deploy/chaos":       Joint,
		"deploy/e2etest":     Joint,
		"deploy/conformance": Joint,
	}
}

// forbidden lists the standard packages that words and core may not import: what they would be
// used for belongs into a shell.
func forbidden(k Kind) []string {
	switch k {
	case Words, Core:
		return []string{"net", "net/http", "os", "os/exec", "log/slog", "crypto/rand", "math/rand", "math/rand/v2",
			"github.com/hashicorp/raft", "github.com/minio/minio-go/v7", "github.com/emersion/go-smtp",
			"github.com/cockroachdb/pebble/v2"}
	}
	return nil
}

// folders says which top-level folders each top-level folder may import, itself aside.
func folders() map[string][]string {
	return map[string][]string{
		"cluster": nil, "blobstore": nil, "deploy": nil,
		"bench": {"deploy"}, // the object stores that both run, and the name server
		"index": {"cluster", "blobstore"},
		"mta":   {"cluster", "index"},
		"imapd": {"cluster", "index"},
		"cmd":   {"cluster", "blobstore", "index", "mta", "imapd"},
	}
}

// Check says what is wrong with one import, or "" where it is allowed. Both paths are relative to
// Module when they are ours.
func Check(from, to string) string {
	kinds := Kinds()
	kind, known := kinds[from]
	if !known {
		return fmt.Sprintf("%s is not in the table of cmd/internal/layers: add it with its kind", from)
	}
	if !strings.HasPrefix(to, Module) {
		for _, f := range forbidden(kind) {
			if to == f {
				return fmt.Sprintf("%s is %s and may not import %s", from, kind, to)
			}
		}
		return ""
	}
	to = strings.TrimPrefix(to, Module)
	target, known := kinds[to]
	if !known {
		return fmt.Sprintf("%s is not in the table of cmd/internal/layers: add it with its kind", to)
	}
	if target > kind {
		return fmt.Sprintf("%s is %s and may not import %s, which is %s", from, kind, to, target)
	}
	return checkFolder(from, to, kind, target)
}

func checkFolder(from, to string, kind, target Kind) string {
	fromTop, toTop := top(from), top(to)
	if fromTop == toTop {
		return ""
	}
	allowed := false
	for _, f := range folders()[fromTop] {
		allowed = allowed || f == toTop
	}
	if !allowed {
		return fmt.Sprintf("%s may not import %s: %s knows nothing of %s", from, to, fromTop, toTop)
	}
	// Of cluster, the mail folders see the words and the directory only; the rest reaches them
	// through interfaces that they declare themselves. Joints may join.
	if toTop == "cluster" && fromTop != "cmd" && target != Words && kind != Joint &&
		!strings.HasPrefix(to, "cluster/directory") {
		return fmt.Sprintf("%s may not import %s: of cluster only the words and the directory", from, to)
	}
	return ""
}

func top(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}
