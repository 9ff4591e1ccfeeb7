#!/bin/sh
# Makes a random password in each file that docker-compose.yml mounts as a secret; those that are there stay.
#   secrets.sh [FOLDER]      default: secrets, beside this script
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
# Only you may enter the folder; the files themselves are read by the image's own user.
chmod 700 "$folder"
for name in superuser replication rewind restapi; do
  [ ! -s "$folder/$name" ] || continue
  od -An -N 24 -t x1 /dev/urandom | tr -d ' \n' > "$folder/$name"
  chmod 444 "$folder/$name"
done
