#!/bin/sh
# Installs the published Python clients that the tests in this folder run. Idempotent; needs python 3.10 or newer with pip.
# They lie in target/clients/sessionfs/VERSION (or $SESSIONFS_TEST_CLIENTS/sessionfs/VERSION).
set -eu
cd "$(dirname "$0")/../.."
dir=${SESSIONFS_TEST_CLIENTS:-target/clients}/sessionfs

say() { echo "clients: $*" >&2; }

# pip_install VERSION [OPTION]: into a temporary folder first, so that an interrupted run leaves nothing half done.
pip_install() {
    [ ! -d "$dir/$1" ] || return 0
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
        say "python 3.10 or newer with pip is needed for sessionfs $1 (its test will be skipped)"
        return 0
    fi
    say "installing sessionfs $1"
    rm -rf "$dir/.$1.part"
    python3 -m pip install --quiet --no-warn-script-location --disable-pip-version-check --root-user-action=ignore \
        --target "$dir/.$1.part" ${2:-} "sessionfs==$1"
    mv "$dir/.$1.part" "$dir/$1"
}

pip_install 0.1.0
# It runs with what 0.1.0 needs.
pip_install 0.26.0 --no-deps
