#!/bin/sh
# Installs the npm packages and Node 24 below the checkout, once per package-lock.json.
# Needs any Node with npm; brings a newer Node (to .tools) when the one found is too old for npm ci.
set -eu
cd "$(dirname "$0")/.."
want=$(cksum < package-lock.json)
[ "$(cat node_modules/.tenure-setup 2>/dev/null || true)" = "$want" ] && exit 0

echo "setup: installing the npm packages of package-lock.json into node_modules" >&2
node=$(command -v node) || { echo "setup: no node found; install Debian's nodejs and npm (apt-get install nodejs npm)" >&2; exit 1; }
if ! "$node" -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>22||(a===22&&b>=22)?0:1)'; then
  version=$(node -p 'require("./package.json").devDependencies.node')
  platform=$(node -p 'process.platform+"-"+process.arch')
  node=$PWD/.tools/node_modules/node-$platform/bin/node # the platform package has no install script
  if [ ! -x "$node" ]; then
    echo "setup: Node $(node -v) is too old for some packages; fetching Node $version into .tools" >&2
    npm install --prefix .tools --no-save --no-package-lock --no-audit --no-fund --loglevel=error "node-$platform@$version"
  fi
fi
export NODE_NO_WARNINGS=1 # an old npm under a new Node warns about npm's own code
npm_cli=${npm_execpath:-$(readlink -f "$(command -v npm)")}
PATH=$(dirname "$node"):$PATH "$node" "$npm_cli" ci --no-audit --no-fund --loglevel=error
[ -x node_modules/.bin/node ] || PATH=$(dirname "$node"):$PATH "$node" "$npm_cli" rebuild node --ignore-scripts=false --loglevel=error
printf '%s' "$want" > node_modules/.tenure-setup
