#!/bin/sh
# Shows that `rookery-bench compare` can be believed on this machine: HEAD against itself must come out as
# not worse (exit 0), HEAD against builds of itself that are slow on purpose as worse (exit 2):
#   burn   wastes a fifth of the CPU time that the process uses, before it stores log entries
#   fsync  syncs a file of its own each time before it stores log entries
# No tree is touched but a temporary one. About 10 minutes; ROUNDS=n and MESSAGES=n change the size, ONLY="same burn
# fsync" what is run, OUT=dir keeps the reports.
set -eu
cd "$(git rev-parse --show-toplevel)"
bench=$(pwd)/bin/rookery-bench
[ -x "$bench" ] || { echo "bin/rookery-bench is missing: make bench-selftest builds it" >&2; exit 1; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/rookery-bench-selftest-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
out=${OUT:-$dir}
mkdir -p "$out" "$dir/tree"
git archive HEAD | tar -x -C "$dir/tree"

build() {
  (cd "$dir/tree" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$dir/$1" ./cmd/rookery)
}

# slow NAME builds the tree with slow-NAME.go.txt called at the start of StoreLogs.
slow() {
  cp "bench/selftest/slow-$1.go.txt" "$dir/tree/cluster/raftlog/slow.go"
  sed 's/^func (l \*Log) StoreLogs(.*{$/&\n\tslow()/' "$dir/append.go" > "$dir/tree/cluster/raftlog/append.go"
  grep -q '^	slow()$' "$dir/tree/cluster/raftlog/append.go" || { echo "StoreLogs is not where the selftest looks for it" >&2; exit 1; }
  build "$1"
}

failed=0
# expect STATUS NAME SCENARIO MESSAGES compares the build NAME with HEAD's.
expect() {
  want=$1 name=$2 scenario=$3 messages=$4
  echo "== $name: $scenario, exit $want expected"
  status=0
  "$bench" compare "$dir/head" "$dir/$name" "$scenario" --rounds "${ROUNDS:-10}" --messages "$messages" --quiet --html "$out/$name.html" || status=$?
  if [ "$status" = "$want" ]; then echo "== $name: ok"; else echo "== $name: FAILED, exit $status"; failed=1; fi
}

build head
cp "$dir/head" "$dir/same"
cp "$dir/tree/cluster/raftlog/append.go" "$dir/append.go"
for name in ${ONLY:-same burn fsync}; do
  case $name in
    same) expect 0 same deliver-4k "${MESSAGES:-10000}" ;;
    burn) slow burn && expect 2 burn deliver-4k "${MESSAGES:-10000}" ;;
    fsync) slow fsync && expect 2 fsync serial "$((${MESSAGES:-10000} / 10))" ;;
    *) echo "ONLY: same, burn and fsync are known" >&2; exit 1 ;;
  esac
done
exit $failed
