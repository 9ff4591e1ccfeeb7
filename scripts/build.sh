#!/bin/sh
# npm run build: dist/, which is src/ and its libraries in one script. bin/tenure takes it as long as no source is newer.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
rm -rf dist
node_modules/.bin/node node_modules/rolldown/bin/cli.mjs -c scripts/build.config.mjs --logLevel warn
# etcd3 looks for it beside the folder of its sources, which is dist/lib now.
mkdir dist/proto
cp node_modules/etcd3/proto/*.proto dist/proto/
cp scripts/build.entry.mjs dist/agent.js
BUILDING_TENURE=1 bin/tenure --validate-config config.example.yaml > /dev/null
