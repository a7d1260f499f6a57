#!/bin/sh
# Brings a server's folder back from what Litestream replicated (litestream.yml):
#
#   restore.sh REPLICA DIR      such as: restore.sh s3://BUCKET/PATH /var/lib/sessionfs
#
# DIR must not have a server in it. Needs `litestream` and `sessionfs` in the PATH; run it as the server's user.
set -eu
umask 077
replica=${1:?the replica, such as s3://BUCKET/PATH} data=${2:?the folder to restore into}

if [ -e "$data/server.db" ]; then
    echo "$data has a server in it: restore into another folder" >&2
    exit 1
fi

restore() {
    mkdir -p "$(dirname "$data/$1")"
    litestream restore -integrity-check full ${2:-} -o "$data/$1" "$replica/$1"
}

restore server.db
# Somebody who never pushed has no archive.
for account in $(sessionfs serve users --data "$data" | cut -d ' ' -f 1); do
    restore "accounts/$account/archive.db" -if-replica-exists
done
sessionfs serve check --data "$data"
