# Rookery. `make demo` shows the main job, `make test` passes the tests; both install what they need.

GO      ?= go
BIN     := bin/rookery
VERSION ?= 0.1-dev$(shell git rev-parse --short HEAD 2>/dev/null | sed 's/^/+/')
LDFLAGS := -s -w -X main.version=$(VERSION)
CYCLES  ?= 20
FUZZTIME ?= 30s

# Packages that start goroutines: tested with the race detector.
RACE := ./cluster/... ./blobstore/packer ./blobstore/gc ./blobstore/scrub ./blobstore/reader ./index/packing ./index/partition/... ./index/mailstore/... ./mta/... ./imapd ./cmd/...

export GOFLAGS := -buildvcs=false
# Nothing of ours needs C; the race detector alone does.
export CGO_ENABLED := 0

.PHONY: all build demo test race e2e e2e-clients imap-conformance netns-test filter-test chaos fuzz lint bench bench-selftest microbench generate clean needs-go stores s3-test

all: build

needs-go:
	@command -v $(GO) >/dev/null || { echo "Rookery needs Go 1.26 or newer: https://go.dev/doc/install"; exit 1; }

build: needs-go
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/rookery

# The main job on real processes: three nodes, mail in, a leader killed, everything read back.
# KEEP=1 leaves the cluster running.
demo: build
	@$(GO) run ./deploy/demo -binary $(BIN) $(if $(KEEP),-keep)

test: build lint stores
	$(GO) test -parallel 6 -timeout 10m ./...
	$(MAKE) race
	$(MAKE) e2e

# The race detector needs a C compiler.
race: needs-go
	@command -v gcc >/dev/null || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq gcc libc6-dev >/dev/null; } || \
	  { echo "the race detector needs gcc (on Debian: apt-get install gcc libc6-dev)"; exit 1; }
	CGO_ENABLED=1 $(GO) test -race -short -parallel 6 -timeout 10m $(RACE)

# versitygw, an object store that tests run against, built once into the user's cache directory.
stores: needs-go
	@GO=$(GO) deploy/stores/install versitygw

# The contract of object stores against MinIO too, which takes minutes to build.
s3-test: stores
	@GO=$(GO) deploy/stores/install minio
	ROOKERY_S3_TEST=1 $(GO) test -timeout 10m -count 1 -v -run TestRealStores ./blobstore/object/s3

# Real clients (curl, swaks, mbsync, mutt from Debian) against a running node.
e2e: build stores
	@deploy/e2etest/install-clients
	ROOKERY_E2E=1 $(GO) test -timeout 10m -count 1 ./deploy/e2etest

# More real clients (offlineimap, getmail, fetchmail, neomutt, aerc, Roundcube, Thunderbird), too heavy for `make test`.
e2e-clients: build
	@deploy/e2etest/install-clients more
	ROOKERY_E2E=1 ROOKERY_E2E_CLIENTS=1 $(GO) test -timeout 10m -count 1 -v -run TestClients ./deploy/e2etest

# Every IMAP story, by itself and with clients, and a table of what each capability rests on.
imap-conformance: build
	@deploy/e2etest/install-clients
	@deploy/e2etest/install-clients more
	@$(GO) run ./deploy/conformance -clients

# Mail to Postfix, Exim and OpenSMTPD, with DNS from unbound, in network namespaces; needs root on Linux. What
# it fetches from Debian stays in PEERS; nothing is installed.
PEERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rookery-netns
netns-test: build
	@deploy/netnstest/install-peers "$(PEERS)"
	ROOKERY_NETNS=1 ROOKERY_NETNS_PEERS="$(PEERS)" $(GO) test -timeout 10m -count 1 -v ./deploy/netnstest

# Mail shown to rspamd, SpamAssassin, ClamAV, opendkim and opendmarc; needs root on Linux. What it fetches from Debian stays in
# FILTERS; nothing is installed.
FILTERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rookery-filters
filter-test: build
	@deploy/filtertest/install-peers "$(FILTERS)"
	ROOKERY_FILTERS="$(FILTERS)" $(GO) test -timeout 10m -count 1 -v ./deploy/filtertest

# Nodes killed and cut off under load, again and again; the ledger decides. STORE=s3 puts the bodies into
# an object store, which is killed and frozen as well. MIX=outbound: users write to other domains, and what arrives
# there is counted.
chaos: build $(if $(STORE),stores)
	@$(GO) run ./deploy/chaos -binary $(BIN) -cycles $(CYCLES) $(if $(STORE),-store $(STORE)) $(if $(MIX),-mix $(MIX))

# Every fuzz target for FUZZTIME each.
fuzz: needs-go
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
	    echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; done

lint: needs-go
	@out=$$(gofmt -l cmd cluster mta imapd blobstore index deploy bench 2>/dev/null); \
	  test -z "$$out" || { echo "not gofmt'ed:"; echo "$$out"; exit 1; }
	$(GO) vet ./...

# A quick pass of the bench suite, under ten minutes: figures of one node and of three. What an
# operator runs before an upgrade is `bin/rookery-bench compare`; see docs/bench.md.
bench: build stores
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/rookery-bench ./bench/rookery-bench
	bin/rookery-bench run --binary $(BIN) --quick --save bin/bench-1.json deliver-4k deliver-64k deliver-mix reconnect fifty serial floor submission imap-5k imap-200k day rest growth scale object-store checks
	bin/rookery-bench run --binary $(BIN) --quick --save bin/bench-3.json --nodes 3 deliver-4k serial floor imap-5k idle rest failover
	bin/rookery-bench goals bin/bench-1.json bin/bench-3.json

# Whether `rookery-bench compare` catches a slowdown of 20 % on this machine and raises no alarm over one
# build against itself. About ten minutes.
bench-selftest: needs-go
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/rookery-bench ./bench/rookery-bench
	bench/selftest/selftest.sh

# The micro-benchmarks of the packages.
microbench: needs-go
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

# Regenerates the protobuf codecs; installs the generators of the versions used.
generate: needs-go
	@command -v protoc >/dev/null || { test "$$(id -u)" = 0 && apt-get install -y -q protobuf-compiler || { echo "install protobuf-compiler"; exit 1; }; }
	$(GO) install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
	$(GO) install github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto@v0.6.0
	PATH="$$PATH:$$($(GO) env GOPATH)/bin" $(GO) generate ./...

clean:
	rm -rf bin
