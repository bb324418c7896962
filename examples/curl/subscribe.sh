#!/bin/sh
# Prints the data of events, a line each, with curl. It comes back when the connection breaks, and goes on where it was;
# with a file to remember that in, also after it was stopped and started again.
#
#   ./subscribe.sh news "chat/*"
#   MILLRACE_CURSOR=./cursor ./subscribe.sh news
#
# MILLRACE_URL is the hub's address, MILLRACE_API_KEY its key where it has one.
set -eu

url=${MILLRACE_URL:-http://127.0.0.1:4000}
if [ -n "${MILLRACE_CURSOR:-}" ]; then
  cursor=$MILLRACE_CURSOR
else
  cursor=$(mktemp)
  trap 'rm -f "$cursor"' EXIT
  trap 'exit 130' INT TERM
fi
[ -f "$cursor" ] || : >"$cursor"

[ $# -gt 0 ] || set -- general
i=$#
while [ "$i" -gt 0 ]; do
  set -- "$@" --data-urlencode "channel=$1"
  shift
  i=$((i - 1))
done
[ -z "${MILLRACE_API_KEY:-}" ] || set -- "$@" --header "Authorization: Bearer $MILLRACE_API_KEY"

# Reads one stream. Exit code 0: come back; 3: do not come back; 1: refused.
read_stream() {
  id='' status=''
  while IFS= read -r line; do
    case $line in
      id:*) id=${line#id:} id=${id# } ;;
      data:*) line=${line#data:}; printf '%s\n' "${line# }" ;;
      'event: millrace.'*) printf '%s\n' "$line" >&2 ;;
      # The end of a block. Printed first, remembered then: what was printed as the machine stopped is printed again.
      # Written over (<>), not emptied first (>): whoever was stopped in between would have forgotten where it was.
      '') [ -z "$id" ] || printf '%s\n' "$id" 1<>"$cursor" ;;
      'status '*) status=${line#status } ;;
      '{'*) printf '%s\n' "$line" >&2 ;;
    esac
  done
  case $status in
    200 | 000 | 429 | 5*) exit 0 ;;
    204) exit 3 ;;
    *) exit 1 ;;
  esac
}

while true; do
  code=0
  curl --silent --no-buffer --get --header "Last-Event-ID: $(head -n 1 "$cursor")" --write-out '\nstatus %{http_code}\n' \
    "$url/events" "$@" | (read_stream) || code=$?
  [ "$code" -ne 3 ] || exit 0
  [ "$code" -eq 0 ] || exit 1
  sleep 2
done
