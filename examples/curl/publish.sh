#!/bin/sh
# Publishes one event with curl, and prints its id.
#
#   ./publish.sh news "It rains"
#   ./publish.sh news "It rains" headline
#
# MILLRACE_URL is the hub's address, MILLRACE_API_KEY its key where it has one.
set -eu

[ $# -ge 2 ] || { echo "usage: publish.sh CHANNEL DATA [EVENT]" >&2; exit 2; }
url=${MILLRACE_URL:-http://127.0.0.1:4000}
tab=$(printf '\t')

# A text as JSON. Other control characters than these the hub refuses, and says so.
json() {
  printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e "s/$tab/\\\\t/g" |
    awk 'BEGIN { printf "\"" } NR > 1 { printf "\\n" } { printf "%s", $0 } END { printf "\"" }'
}

# The name is drawn once: what is sent again under it, because an answer was lost, is not stored again.
name=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

set -- "$url/publish" \
  --header "Content-Type: application/json" \
  --header "Idempotency-Key: $name" \
  --data-binary "{\"channel\":$(json "$1"),\"data\":$(json "$2")${3:+,\"event\":$(json "$3")}}"
[ -z "${MILLRACE_API_KEY:-}" ] || set -- "$@" --header "Authorization: Bearer $MILLRACE_API_KEY"

answer=$(curl --silent --show-error --fail-with-body --retry 3 --retry-connrefused "$@") || { echo "$answer" >&2; exit 1; }
echo "$answer" | sed 's/.*"ids":\["\([^"]*\)".*/\1/'
