#!/bin/sh
# npm run build: dist/, plain JavaScript of src/ by TypeScript's own compiler. bin/tenure takes it as long
# as no source is newer than dist/agent.js.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
rm -rf dist
node_modules/.bin/tsc -p tsconfig.build.json
