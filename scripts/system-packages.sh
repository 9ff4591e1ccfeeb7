#!/bin/sh
# Installs the programs that tests, demo and drill start by themselves: PostgreSQL >= 12, etcd, HAProxy.
# Does nothing when they are there. Their services stay off: we only want the binaries.
set -eu

missing() {
  found=
  for bin in /usr/lib/postgresql/*/bin; do
    version=${bin#/usr/lib/postgresql/}; version=${version%/bin}
    case $version in
      '' | *[!0-9]*) ;;
      *) if [ "$version" -ge 12 ] && [ -x "$bin/postgres" ] && [ -x "$bin/pg_basebackup" ] && [ -x "$bin/pg_rewind" ]; then found=yes; fi ;;
    esac
  done
  [ -n "$found" ] || echo postgresql
  command -v etcd > /dev/null || echo etcd-server
  command -v etcdctl > /dev/null || echo etcd-client
  command -v haproxy > /dev/null || [ -x /usr/sbin/haproxy ] || echo haproxy
  command -v setpriv > /dev/null || echo util-linux
}

why() {
  case $1 in
    postgresql) echo "the database server, of which each node runs one" ;;
    etcd-server) echo "etcd, which holds the leader key" ;;
    etcd-client) echo "etcdctl, with which tests look into etcd" ;;
    haproxy) echo "HAProxy, which sends clients to the primary" ;;
    util-linux) echo "setpriv, with which root runs all this as an unprivileged user" ;;
  esac
}

# While packages are installed: no service is started, no default PostgreSQL cluster is made.
# Both settings are put back as they were.
quiet_install() {
  policy=/usr/sbin/policy-rc.d
  cluster_conf=/etc/postgresql-common/createcluster.d/tenure-no-cluster.conf
  restore() {
    rm -f "$cluster_conf" "$policy"
    if [ -e "$policy.before-tenure" ]; then mv "$policy.before-tenure" "$policy"; fi
  }
  trap restore EXIT
  trap 'exit 130' INT TERM
  if [ -e "$policy" ] && [ ! -e "$policy.before-tenure" ]; then mv "$policy" "$policy.before-tenure"; fi
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  mkdir -p "$(dirname "$cluster_conf")"
  echo 'create_main_cluster = false' > "$cluster_conf"

  installed_before=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2> /dev/null | sed -n 's/ installed$//p')
  export DEBIAN_FRONTEND=noninteractive
  output=$(mktemp)
  if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "$@"; } > "$output" 2>&1; then
    cat "$output" >&2
    rm -f "$output"
    return 1
  fi
  rm -f "$output"
  command -v systemctl > /dev/null || return 0
  for pair in postgresql-common:postgresql etcd-server:etcd haproxy:haproxy docker.io:docker; do
    package=${pair%:*}
    unit=${pair#*:}
    echo "$installed_before" | grep -qx "$package" && continue # a service of yours stays as it is
    dpkg-query -W "$package" > /dev/null 2>&1 || continue
    systemctl disable "$unit" > /dev/null 2>&1 || true
  done
}

if [ "${1:-}" = --install ]; then
  shift
  quiet_install "$@"
  exit 0
fi

packages=$(missing)
[ -n "$packages" ] || exit 0
packages=$(echo $packages)
echo "system packages: installing from this machine's Debian repositories (services stay off):" >&2
for package in $packages; do echo "  $package: $(why "$package")" >&2; done

by_hand="Install them yourself, as root:
  apt-get update && apt-get install -y --no-install-recommends $packages
and then run the same command again."
if ! command -v apt-get > /dev/null; then
  echo "system packages: no apt-get here (needed: Debian 12 or newer). $by_hand" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  sh "$0" --install $packages
elif command -v sudo > /dev/null; then
  sudo sh "$0" --install $packages || { echo "system packages: sudo did not install them. $by_hand" >&2; exit 1; }
else
  echo "system packages: neither root nor sudo. $by_hand" >&2
  exit 1
fi
still=$(echo $(missing))
[ -z "$still" ] || { echo "system packages: still missing after the installation: $still. $by_hand" >&2; exit 1; }
