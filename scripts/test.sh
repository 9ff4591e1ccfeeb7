#!/bin/sh
# npm test: set-up, type-check, lint, unit and integration tests. Runs all of them and fails if one did.
# TENURE_TEST_REPORT=FILE: vitest's results as JSON in FILE, the checks' in FILE.checks.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
sh scripts/system-packages.sh
PATH=$PWD/node_modules/.bin:$PATH
report=${TENURE_TEST_REPORT:-}
status=0

check() {
  name=$1
  shift
  echo "== $name"
  if "$@"; then result=passed; else result=failed; status=1; fi
  [ -z "$report" ] || echo "$name $result" >> "$report.checks"
}
check type-check tsc --noEmit
check lint biome check --error-on-warnings
# native: Node reads vitest.config.ts itself; the bundling loader would write into the checkout.
echo "== tests"
set -- sh scripts/unprivileged.sh vitest run --configLoader native "$@"
if [ "$status" = 0 ]; then exec "$@"; fi
"$@" || true
exit "$status"
