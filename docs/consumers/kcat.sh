#!/bin/sh
# A topic on the terminal, with kcat (Debian: apt install kcat): committed events alone, headers and value.
#
#   kcat.sh localhost:9092 seemetrix.sessions          from the beginning, until Ctrl-C
#   kcat.sh localhost:9092 seemetrix.sessions -e -c 3  three, or as many as there are; any options of kcat's
set -eu
kafka=$1 topic=$2
shift 2
exec kcat -C -q -u -b "$kafka" -t "$topic" -o beginning -X isolation.level=read_committed \
    -f 'partition %p offset %o key %k\n%h\n%s\n\n' "$@"
