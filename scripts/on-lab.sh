#!/bin/sh
# on-lab.sh SCRIPT.ts ARGS...: makes the machine ready and runs a script that starts its own etcd,
# PostgreSQL and HAProxy, as an unprivileged user.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
sh scripts/system-packages.sh
exec sh scripts/unprivileged.sh node "$@"
