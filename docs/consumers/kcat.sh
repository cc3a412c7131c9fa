#!/bin/sh
# Prints the committed events of a topic, with headers and value. Needs kcat (Debian: apt install kcat), which decodes LZ4.
#
#   kcat.sh localhost:9092 seemetrix.sessions          all messages, until Ctrl-C
#   kcat.sh localhost:9092 seemetrix.sessions -e -c 3  at most three messages; any options of kcat
set -eu
kafka=$1 topic=$2
shift 2
exec kcat -C -q -u -b "$kafka" -t "$topic" -o beginning -X isolation.level=read_committed \
    -f 'partition %p offset %o key %k\n%h\n%s\n\n' "$@"
