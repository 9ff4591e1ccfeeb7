#!/bin/sh
# npm run build: dist/agent.js of src/ and its libraries. bin/tenure takes it as long as no source is newer.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
rm -rf dist
node_modules/.bin/node node_modules/rolldown/bin/cli.mjs -c scripts/build.config.mjs --logLevel warn
