#!/bin/bash
# tenure-health [PATH [URL]]: succeeds when the daemon's REST API answers 200. Default: /liveness at
# http://127.0.0.1:8008, https where a variable names a certificate for it. In bash (and openssl), as a client
# of its own every few seconds would cost more than the daemon.
path=${1:-/liveness}
scheme=http
[ -z "${TENURE_RESTAPI_CERTFILE:-}${PATRONI_RESTAPI_CERTFILE:-}" ] || scheme=https
url=${2:-$scheme://127.0.0.1:8008}
address=${url#*://}
request=$'GET '$path$' HTTP/1.0\r\nHost: '$address$'\r\n\r\n'
if [[ $url == https://* ]]; then
  # It asks itself: whose certificate it is does not matter. With verify_client: required it has to show one.
  certificate=${TENURE_CTL_CERTFILE:-${PATRONI_CTL_CERTFILE:-}}
  key=${TENURE_CTL_KEYFILE:-${PATRONI_CTL_KEYFILE:-$certificate}}
  own=()
  [ -z "$certificate" ] || own=(-cert "$certificate" -key "$key")
  exec 3< <(printf '%s' "$request" | timeout 4 openssl s_client -quiet "${own[@]}" -connect "$address" 2> /dev/null)
else
  exec 3<> "/dev/tcp/${address%:*}/${address##*:}" || exit 1
  printf '%s' "$request" >&3
fi
IFS= read -r -t 4 status <&3 || { echo "no answer from $url" >&2; exit 1; }
echo "$path: ${status%$'\r'}"
[[ $status == HTTP/*' 200'* ]]
