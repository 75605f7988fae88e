#!/bin/sh
# run.sh BENCH_DIR PEERS_DIR [bench.py options] - CPU per request and per streamed chunk beside nginx, in interleaved rounds of one run.
# BENCH_DIR holds bench.py, mock.c and load.c; PEERS_DIR is only used for peers other than nginx (--only nginx,weighbridge needs none).
set -e
here=$(cd "$(dirname "$0")" && pwd)
bench=$(cd "$1" && pwd); peers=$2; shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$bench/." "$work/"
gcc -O2 -o "$work/mock" "$work/mock.c"
gcc -O2 -o "$work/load" "$work/load.c"
sed "s#@REPO@#$(dirname "$here")#" "$here/target.toml" > "$work/weighbridge.toml"
python3 "$work/bench.py" --peers "$peers" --targets "$work/targets.toml" --targets "$work/weighbridge.toml" --ref nginx "$@"
