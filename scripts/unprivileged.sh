#!/bin/sh
# unprivileged.sh CMD...: runs CMD from the checkout as an unprivileged user, as PostgreSQL refuses to run as root.
# As root: user postgres (or nobody), with HOME and TMPDIR in a folder made for it and removed afterwards.
# Not root: CMD as it is. The exit code is CMD's; SIGINT and SIGTERM are passed on to it.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
checkout=$root
[ $# -gt 0 ] || { echo "usage: unprivileged.sh CMD..." >&2; exit 2; }
if [ "$(id -u)" != 0 ]; then
  PATH=$root/node_modules/.bin:$PATH:/usr/sbin:/sbin exec "$@"
fi

user=nobody
if id postgres > /dev/null 2>&1; then user=postgres; fi
group=$(id -gn "$user")
work=$(mktemp -d "${TMPDIR:-/tmp}/tenure.XXXXXX")

# What CMD left behind: the user's processes that live in our folder or were given it as their TMPDIR.
# Looked for as that user, who may always look into its own processes.
leftovers() {
  (cd / && as_user sh -c '
    unset TMPDIR
    {
      find /proc -mindepth 2 -maxdepth 2 -name cwd \( -lname "$0" -o -lname "$0/*" \)
      grep -lzxF "TMPDIR=$0" /proc/[0-9]*/environ
    } 2> /dev/null | cut -d / -f 3 | sort -u | grep -vxF $$' "$work")
}
cleanup() {
  trap '' INT TERM HUP
  for pid in $(leftovers); do kill -9 "$pid" 2> /dev/null || true; done
  rm -rf "$work" 2> /dev/null || { sleep 0.2; rm -rf "$work"; }
}
trap cleanup EXIT

# A folder that its user, and only its user, can fill; 0711 so that paths below it stay reachable.
chown "$user:$group" "$work"
chmod 711 "$work"
as_user() {
  set -- setpriv --pdeathsig=TERM "--reuid=$user" "--regid=$group" --init-groups --reset-env -- \
    env --default-signal=INT,QUIT "TMPDIR=$work" "HOME=$work" "USER=$user" "LOGNAME=$user" \
    "PATH=$checkout/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
  exec "$@"
}
if ! (cd / && as_user sh -c "cd '$root' && test -r package.json && test -x node_modules/.bin/node") 2> /dev/null; then
  checkout=$work/checkout
  echo "unprivileged: user $user cannot read $root; running from a copy" >&2
  mkdir "$checkout"
  tar -C "$root" --exclude=./.git --exclude=./.tools -cf - . | tar -C "$checkout" -xf - --no-same-owner
  chmod -R a+rX "$checkout"
fi
cd "$checkout"

# Environment that CMD may see; all else of root's is dropped.
kept=$(env | sed -n 's/^\(TERM\|COLUMNS\|LINES\|LANG\|NO_COLOR\|FORCE_COLOR\|CI\|NODE_EXTRA_CA_CERTS\|NODE_COMPILE_CACHE\|TENURE_[A-Z_]*\)=.*/\1/p')
for name in $kept; do
  eval "value=\$$name"
  set -- "$name=$value" "$@"
done
set -- env "$@"

# In the background, so that a signal to this shell alone reaches CMD at once. (The terminal sends
# Ctrl-C to the whole group by itself, hence not twice.)
child=
trap 'if [ -n "$child" ] && ! [ -t 0 ]; then kill -INT "$child" 2> /dev/null || true; fi' INT
trap 'if [ -n "$child" ]; then kill -TERM "$child" 2> /dev/null || true; fi' TERM
trap 'if [ -n "$child" ]; then kill -HUP "$child" 2> /dev/null || true; fi' HUP
exec 3<&0
(as_user "$@") <&3 3<&- &
child=$!
exec 3<&-
status=0
wait "$child" || status=$?
while kill -0 "$child" 2> /dev/null; do # a trapped signal ended the wait, not CMD
  status=0
  wait "$child" || status=$?
done
exit "$status"
