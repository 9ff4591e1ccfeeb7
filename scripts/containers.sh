#!/bin/sh
# containers.sh TASK... [ARGS]: builds the images and tests them, in a Docker engine of its own (as root, or by
# sudo without a password) or in the one that answers. ARGS go to vitest in the last task.
#   tests        test/containers: the images, docker-compose.yml, the systemd unit
#   postgres17   test/**/*.real.test.ts with the image's PostgreSQL 17; ARGS: which files
# Where no engine can run at all it says so and succeeds; with TENURE_TEST_REPORT=FOLDER/NAME the reason is in
# FOLDER/NAME.unavailable and results are in FOLDER/NAME.TASK. Installs what is missing from Debian
# (docker.io, debootstrap, docker-compose) and removes everything else that it made; with
# TENURE_CONTAINERS_CACHE=FOLDER its own engine's images stay there, and a second run starts from them.
set -eu
cd "$(dirname "$0")/.."
. scripts/engine.sh
. scripts/stand-ins.sh
tasks=
while [ $# -gt 0 ]; do
  case $1 in
    tests | postgres17) tasks="$tasks $1"; shift ;;
    *) break ;;
  esac
done
[ -n "$tasks" ] || { echo "usage: containers.sh tests|postgres17... [ARGS FOR VITEST]" >&2; exit 2; }
last=${tasks##* }
report=${TENURE_TEST_REPORT:-}
unset TENURE_TEST_REPORT
began=$(date +%s)
say() { echo "containers: $* ($(($(date +%s) - began)) s)" >&2; }

sh scripts/setup.sh
engine_keeper=
cache=${TENURE_CONTAINERS_CACHE:-}
engine_work=${cache:-$(mktemp -d "${TMPDIR:-/tmp}/tenure-containers.XXXXXX")}
mkdir -p "$engine_work"
images=tenure-test-$$
[ -z "$cache" ] || images=tenure-test
cleanup() {
  trap '' INT TERM HUP
  if [ -n "${own:-}" ]; then
    engine_stop
  else
    for one in debian node tenure etcd haproxy lab next; do docker rmi -f "$images/$one" > /dev/null 2>&1 || true; done
  fi
  [ -n "$cache" ] || rm -rf "$engine_work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

own=
if ! docker info > /dev/null 2>&1; then
  if [ "$(id -u)" != 0 ] && sudo -n true 2> /dev/null; then
    say "starting again as root, for an engine of its own"
    [ -n "$cache" ] || rm -rf "$engine_work"
    exec sudo -n env PATH="$PATH" TENURE_TEST_REPORT="$report" TENURE_CONTAINERS_CACHE="$cache" \
      NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-}" sh "$PWD/scripts/containers.sh" $tasks "$@"
  fi
  why=$(engine_obstacle)
  if [ -n "$why" ]; then
    say "NOT RUN: Docker cannot run here: $why"
    [ -z "$report" ] || echo "$why" > "$report.unavailable"
    exit 0
  fi
  own=yes
fi

missing=
if [ -n "$own" ]; then
  command -v dockerd > /dev/null || missing="$missing docker.io"
  command -v debootstrap > /dev/null || missing="$missing debootstrap"
fi
docker compose version > /dev/null 2>&1 || command -v docker-compose > /dev/null || missing="$missing docker-compose"
if [ -n "$missing" ]; then
  say "installing from this machine's Debian repositories (they stay installed):$missing"
  sh scripts/system-packages.sh --install $missing
  command -v docker > /dev/null || sh scripts/system-packages.sh --install docker-cli # of its own from Debian 13 on
fi
compose=docker-compose
docker compose version > /dev/null 2>&1 && compose="docker compose"

# The legacy builder, which is the one that Debian 12 has: what it builds, BuildKit does too.
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 DOCKER_CLI_HINTS=false
build() {
  target=$1
  shift
  docker build ${own:+--network=host} "$@" -t "$images/$target" . > "$engine_work/build.log" 2>&1 || {
    tail -n 60 "$engine_work/build.log" >&2
    say "building $target FAILED"
    return 1
  }
  say "built $target"
}
if [ -n "$own" ]; then
  engine_start shared
  debian=$images/debian
  node=$images/node
  if ! docker image inspect "$node" > /dev/null 2>&1; then
    stand_in_debian "$debian" trixie
    stand_in_node "$node" "$debian"
    say "made stand-ins for the public base images"
  fi
else
  debian=debian:trixie-slim
  node=node:24-trixie-slim
fi
for target in etcd haproxy tenure; do
  build "$target" --build-arg DEBIAN="$debian" --build-arg NODE="$node" --target "$target"
done
build lab --build-arg TENURE="$images/tenure" -f test/containers/lab.Dockerfile
if [ -n "$own" ]; then
  # From here on, nothing that runs in a container reaches anything outside of this machine.
  engine_stop
  engine_start apart
fi

run_tests() {
  set -- vitest run --configLoader native --project containers "$@"
  [ -z "$own" ] || set -- nsenter --net="/proc/$engine_pid/ns/net" "$@"
  env TENURE_IMAGE="$images/tenure" ETCD_IMAGE="$images/etcd" HAPROXY_IMAGE="$images/haproxy" \
    TENURE_TEST_NEXT="$images/next" TENURE_TEST_LAB="$images/lab" TENURE_TEST_BASE="$debian" TENURE_TEST_COMPOSE="$compose" \
    TESTCONTAINERS_RYUK_DISABLED=true TENURE_TEST_REPORT="${report:+$report.tests}" \
    PATH="$PWD/node_modules/.bin:$PATH" "$@"
}
# As root, so that unprivileged.sh can copy a checkout that others may not read.
run_postgres17() {
  docker run --rm --init --network none --user root --shm-size 256m --entrypoint sh \
    -v "$PWD:/checkout:ro" ${report:+-v "$(dirname "$report"):/report"} \
    ${report:+-e TENURE_TEST_REPORT="/report/$(basename "$report").postgres17"} -e CI=1 "$images/lab" \
    /checkout/scripts/unprivileged.sh vitest run --configLoader native --project integration "$@"
}
status=0
for task in $tasks; do
  say "$task"
  if [ "$task" = "$last" ]; then "run_$task" "$@" || status=1; else "run_$task" || status=1; fi
done
say "done"
exit "$status"
