#!/bin/bash
# tenure-health [PATH [HOST:PORT]]: succeeds when the daemon's REST API answers 200. Default: /liveness at
# 127.0.0.1:8008. In bash alone, as a client of its own every few seconds would cost more than the daemon.
path=${1:-/liveness}
address=${2:-127.0.0.1:8008}
exec 3<> "/dev/tcp/${address%:*}/${address##*:}" || exit 1
printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$path" "$address" >&3
IFS= read -r -t 4 status <&3 || { echo "no answer from $address" >&2; exit 1; }
echo "$path: ${status%$'\r'}"
[[ $status == HTTP/*' 200'* ]]
