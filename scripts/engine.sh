# Sourced: a Docker engine of one's own, which leaves nothing behind. engine_start, engine_stop.
#   engine_work   a folder of the caller's, where everything of the engine is kept
#   engine_pid    the engine's process, for entering its network (nsenter -t "$engine_pid" -n)
#   DOCKER_HOST   is set to the engine's socket
# It runs in namespaces of its own: its mounts, its containers and, with "apart", its network end with it;
# and it ends with the shell that started it. Needs root.

# Why no engine can be had on this machine; nothing when one can. Namespaces and cgroups need privileges
# that a container usually lacks.
engine_obstacle() {
  if [ "$(id -u)" != 0 ]; then
    echo "not root, and no Docker engine answers"
  elif ! unshare --mount --net --pid --fork true 2> /dev/null; then
    echo "this machine forbids namespaces (unshare)"
  elif ! grep -qE ' cgroup2? ' /proc/mounts; then
    echo "no cgroups are mounted"
  fi
}

# engine_start apart|shared: with a network of its own (nothing leaves this machine), or with the machine's
# network and none for containers (to build: docker build --network=host).
engine_start() {
  engine_cgroup=tenure-engine-$$
  set -- "$1" --host="unix://$engine_work/docker.sock" --data-root="$engine_work/engine" \
    --exec-root="$engine_work/exec" --pidfile="$engine_work/docker.pid" --cgroup-parent="/$engine_cgroup"
  if [ "$1" = apart ]; then
    shift
    setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc \
      sh -c '
        ip link set lo up 2> /dev/null
        # Where version 2 of cgroups is beside version 1, the engine leaves its containers where it is itself.
        beside=/sys/fs/cgroup/unified$0
        [ ! -d /sys/fs/cgroup/unified ] || { mkdir -p "$beside" && echo 0 > "$beside/cgroup.procs"; }
        exec dockerd "$@"' "/$engine_cgroup" "$@" > "$engine_work/docker.log" 2>&1 &
  else
    shift
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc \
      dockerd "$@" --bridge=none --iptables=false > "$engine_work/docker.log" 2>&1 &
  fi
  engine_keeper=$!
  export DOCKER_HOST="unix://$engine_work/docker.sock"
  tries=0
  until docker info > /dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$engine_keeper" 2> /dev/null; then
      echo "the Docker engine did not start:" >&2
      tail -n 20 "$engine_work/docker.log" >&2
      return 1
    fi
    sleep 0.2
  done
  engine_pid=$(cat "/proc/$engine_keeper/task/$engine_keeper/children")
  engine_pid=${engine_pid%% *}
}

# Ends the engine and everything that runs in it; its images stay in engine_work for the next start.
engine_stop() {
  [ -n "${engine_keeper:-}" ] || return 0
  [ -z "${engine_pid:-}" ] || kill "$engine_pid" 2> /dev/null || true
  tries=0
  while kill -0 "$engine_keeper" 2> /dev/null && [ "$tries" -lt 75 ]; do
    tries=$((tries + 1))
    sleep 0.2
  done
  kill -9 "$engine_keeper" 2> /dev/null || true # and with it, all its processes (--kill-child)
  wait "$engine_keeper" 2> /dev/null || true
  engine_keeper=
  engine_pid=
  rm -f "$engine_work/docker.pid"
  for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -d "$folder/$engine_cgroup" ] || continue
    find "$folder/$engine_cgroup" -depth -type d -exec rmdir {} + 2> /dev/null || true
  done
}
