#!/bin/sh
# The image's entry point. Arguments: none (the image's own configuration), a configuration file or folder,
# an option of tenure, or another program to run in its place (psql, bash).
set -eu
default=/etc/tenure/tenure.yml

case ${1:-} in
  '') set -- "$default" ;;
  -*) ;;
  *)
    if [ ! -e "$1" ] || { [ -x "$1" ] && [ ! -d "$1" ]; }; then
      command -v "$1" > /dev/null && exec "$@"
    fi
    ;;
esac

# What the image's configuration cannot know: its name, and where the others reach it. Both are the container's
# host name unless they are given; so give it one that stays (docker run --hostname, hostname: in compose).
if [ "${1:-}" = "$default" ]; then
  given() { eval "[ -n \"\${TENURE_$1:-}\${PATRONI_$1:-}\" ]"; }
  here=$(hostname)
  given NAME || export TENURE_NAME="$here"
  given RESTAPI_CONNECT_ADDRESS || export TENURE_RESTAPI_CONNECT_ADDRESS="$here:8008"
  given POSTGRESQL_CONNECT_ADDRESS || export TENURE_POSTGRESQL_CONNECT_ADDRESS="$here:5432"
  for secret in SUPERUSER_PASSWORD REPLICATION_PASSWORD; do
    given "$secret" || given "${secret}_FILE" || {
      echo "tenure: neither TENURE_$secret nor TENURE_${secret}_FILE is set; this image's configuration needs a password" >&2
      exit 1
    }
  done
fi
exec tenure "$@"
