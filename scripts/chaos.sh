#!/bin/sh
# npm run chaos: see scripts/chaos.ts.
set -eu
cd "$(dirname "$0")/.."
sh scripts/build.sh
sh scripts/system-packages.sh
exec sh scripts/unprivileged.sh sh scripts/chaos/enter.sh node scripts/chaos.ts "$@"
