#!/bin/sh
# enter.sh CMD...: runs CMD in a network and a mount table of its own, where it may make further networks and small
# disks. No privilege is needed where the kernel lets users do that. All of it is gone with CMD.
# TENURE_CHAOS_NETWORK tells CMD which it is: namespaces, or loopback where this machine does not allow them.
set -eu
inside='mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up'
tried="$inside"' && ip link add chaos type bridge && ip netns add one && ip link add near type veth peer name far netns one &&
  nsenter --net=/run/netns/one iptables -w -A INPUT -s 10.77.0.9 -j DROP'
as_own="unshare --user --map-current-user --keep-caps --net --mount"
if why=$($as_own sh -c "$tried" 2>&1 >/dev/null); then
  TENURE_CHAOS_NETWORK=namespaces
  export TENURE_CHAOS_NETWORK
  exec $as_own sh -c "$inside"' && exec "$@"' sh "$@"
fi
echo "chaos: this machine lets user $(id -un) make no networks of its own (needed: user namespaces, iproute2, iptables): $why" >&2
echo "chaos: all on the loopback, without faults of the network and of disks" >&2
TENURE_CHAOS_NETWORK=loopback
export TENURE_CHAOS_NETWORK
exec "$@"
