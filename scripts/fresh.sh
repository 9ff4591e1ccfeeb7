#!/bin/sh
# npm run fresh [-- --sudo] [-- --suite NAME]: proves that `npm run demo` works on a fresh Debian machine.
# Makes a base image by debootstrap, with nothing but Debian's nodejs and npm, copies this working tree
# into a container of it and runs the demo there for 40 s. Needs root and Debian's docker.io and
# debootstrap (installed when missing); removes everything else that it made.
#   --sudo         run the demo as a user with sudo instead of as root
#   --suite NAME   Debian release of the container (default: bookworm, whose Node is the oldest)
set -eu
cd "$(dirname "$0")/.."
suite=bookworm
as_user=no
while [ $# -gt 0 ]; do
  case $1 in
    --sudo) as_user=yes ;;
    --suite)
      suite=${2:?--suite needs a name, for example trixie}
      shift
      ;;
    *)
      echo "fresh: found \"$1\"; allowed: --sudo, --suite NAME" >&2
      exit 2
      ;;
  esac
  shift
done
[ "$(id -u)" = 0 ] || { echo "fresh: needs root, for debootstrap and the Docker engine" >&2; exit 1; }

say() { echo "fresh: $*" >&2; }
missing=
command -v debootstrap > /dev/null || missing="debootstrap"
docker info > /dev/null 2>&1 || [ -x /usr/sbin/dockerd ] || missing="$missing docker.io"
if [ -n "$missing" ]; then
  say "installing from this machine's Debian repositories (they stay installed): $missing"
  sh scripts/system-packages.sh --install $missing
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tenure-fresh.XXXXXX")
image=tenure-fresh-$$
. scripts/engine.sh
. scripts/stand-ins.sh
engine_work=$work
engine_keeper=
cleanup() {
  trap '' INT TERM
  docker rm -f "$image" > /dev/null 2>&1 || true
  docker rmi -f "$image" > /dev/null 2>&1 || true
  engine_stop
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# An engine that runs is used; otherwise one of our own, in our folder, which leaves the machine's
# network alone (containers then share it).
network=
if ! docker info > /dev/null 2>&1; then
  network="--network=host"
  engine_start shared
fi

say "making a minimal Debian $suite"
stand_in_debian "$image" "$suite"

cat > "$work/inside.sh" << 'INSIDE'
set -eu
as_user=$1
export DEBIAN_FRONTEND=noninteractive
echo "--- installing nodejs and npm, as they are in this Debian"
apt-get -qq update
apt-get -qq install -y --no-install-recommends nodejs npm > /dev/null 2>&1
echo "--- node $(node -v), npm $(npm -v)"
if [ "$as_user" = yes ]; then
  apt-get -qq install -y --no-install-recommends sudo > /dev/null 2>&1
  useradd -m newcomer
  echo 'newcomer ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/newcomer
  chown -R newcomer /checkout
  status=0
  runuser -u newcomer -- sh -c 'cd /checkout && npm run demo -- --seconds 40' || status=$?
else
  cd /checkout
  status=0
  npm run demo -- --seconds 40 || status=$?
fi
echo "--- the demo ended with exit code $status"
left=$(ls -d /tmp/tenure.* /tmp/lab-* 2> /dev/null || true)
[ -z "$left" ] || { echo "--- left behind: $left"; exit 1; }
for process in /proc/[0-9]*; do
  case $(cat "$process/comm" 2> /dev/null || true) in
    postgres | etcd | haproxy | node) echo "--- left running: $(tr '\0' ' ' < "$process/cmdline")"; exit 1 ;;
  esac
done
exit "$status"
INSIDE

# Run in the container: the working tree, as far as it belongs to the project, and the script above.
mkdir "$work/checkout"
tar --exclude=./node_modules --exclude=./.tools --exclude=./.git --exclude=./dist -cf - . | tar -C "$work/checkout" -xf - --no-same-owner
say "running the demo in a container"
status=0
tar -C "$work" -cf - checkout inside.sh | docker run -i --rm --init --name "$image" $network "$image" \
  sh -c 'tar -C / -xf - && sh /inside.sh "$0"' "$as_user" || status=$?
if [ "$status" = 0 ]; then say "the demo works on a fresh Debian $suite"; else say "FAILED with exit code $status"; fi
exit "$status"
