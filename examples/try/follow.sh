#!/usr/bin/env bash
# Usage: follow.sh ORDER
# Prints what a release order did and does, one JSON document a line, until it has ended. Goes on where it was when the
# connection is cut. Needs curl, and CELLWRIGHT_URL and CELLWRIGHT_TOKEN: `source .local/env` sets both.
set -uo pipefail

order=${1:?Which order? Usage: follow.sh ORDER}
url=${CELLWRIGHT_URL:?is not set: source .local/env}/api/v1/release-orders/$order/events
token=${CELLWRIGHT_TOKEN:?is not set: source .local/env}
seen=0

while :; do
  status=000 id='' event='' data=''
  while IFS= read -r line; do
    case $line in
    # What curl adds when the answer has ended, behind whatever was cut off, or behind the problem with which it was refused.
    *$'\r'*) status=${line##*$'\r'} rest=${line%%$'\r'*} ;;
    "id: "*) id=${line#id: } ;;
    "event: "*) event=${line#event: } ;;
    "data: "*) data=${line#data: } ;;
    # Only an empty line makes the lines before it an event: one that was cut off comes again.
    "")
      [ "$event" = end ] && exit 0
      [ -n "$data" ] && printf '%s\n' "$data"
      seen=${id:-$seen} id='' event='' data=''
      ;;
    esac
    # The token is not on the command line, where others on this machine could read it.
  done < <(curl -sN -H @- -H "Last-Event-ID: $seen" -w '\r%{http_code}\n' "$url" <<<"Authorization: Bearer $token")
  case $status in
  204) exit 0 ;;
  4*) printf '%s\n' "$rest" >&2 && exit 1 ;;
  esac
  sleep 2
done
