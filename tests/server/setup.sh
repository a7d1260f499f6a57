#!/bin/sh
# Installs the published Python client that the tests in this folder run. Idempotent; needs python 3.10 or newer with pip.
# It lies in target/clients/sessionfs/VERSION (or $SESSIONFS_TEST_CLIENTS/sessionfs/VERSION).
set -eu
cd "$(dirname "$0")/../.."
dir=${SESSIONFS_TEST_CLIENTS:-target/clients}/sessionfs

say() { echo "clients: $*" >&2; }

for version in 0.1.0; do
    [ ! -d "$dir/$version" ] || continue
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
        say "python 3.10 or newer with pip is needed for the published client (its test will be skipped)"
        exit 0
    fi
    say "installing sessionfs $version"
    rm -rf "$dir/.$version.part"
    python3 -m pip install --quiet --no-warn-script-location --disable-pip-version-check --root-user-action=ignore \
        --target "$dir/.$version.part" "sessionfs==$version"
    mv "$dir/.$version.part" "$dir/$version"
done
