#!/bin/sh
# start.sh PORT MOCK_PORT FOLDER - Weighbridge with everything on, in front of the benchmark's mock upstream.
set -e
repo=$(cd "$(dirname "$0")/.." && pwd)
state="$3/weighbridge-state"
rm -rf "$state"
cat > "$3/weighbridge.yaml" <<YAML
listen: {port: $1}
admin: {port: 0}
state_dir: $state
demo: false
upstreams:
  mock: {url: "http://127.0.0.1:$2", prices: openai}
YAML
exec "$repo/.venv/bin/weighbridge" serve --config "$3/weighbridge.yaml"
