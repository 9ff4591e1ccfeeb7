# Sourced: the public base images, or what stands in for them where no registry of images is reached.
# Made from Debian's and npm's own packages. Needs root and debootstrap.

# stand_in_debian NAME SUITE: a minimal Debian. On a machine that reaches npm's registry through an
# authority or a registry of its own, npm in the container has to know it too.
stand_in_debian() {
  root=$engine_work/debian
  debootstrap --variant=minbase --include=ca-certificates "$2" "$root" > "$engine_work/debootstrap.log" 2>&1 || {
    tail -n 20 "$engine_work/debootstrap.log" >&2
    return 1
  }
  set -- "$1"
  if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
    cp "$NODE_EXTRA_CA_CERTS" "$root/etc/ssl/machine-ca.crt"
    set -- "$1" --change "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/machine-ca.crt"
  fi
  registry=$(npm config get registry 2> /dev/null || true)
  [ -z "$registry" ] || set -- "$@" --change "ENV npm_config_registry=$registry"
  name=$1
  shift
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -c . | docker import "$@" - "$name" > /dev/null
  rm -rf "$root"
}

# stand_in_node NAME BASE: BASE with the checkout's Node and the newest npm that belongs to it.
stand_in_node() {
  context=$engine_work/node
  mkdir "$context"
  cp node_modules/node/bin/node "$context/node"
  npm install --prefix "$context/npm" --no-save --no-package-lock --no-audit --no-fund --loglevel=error npm@11
  cat > "$context/Dockerfile" << 'DOCKERFILE'
ARG BASE
FROM ${BASE}
COPY node /usr/local/bin/node
COPY npm/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
DOCKERFILE
  docker build -q --build-arg BASE="$2" -t "$1" "$context" > /dev/null
  rm -rf "$context"
}
