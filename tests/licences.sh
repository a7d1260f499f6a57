#!/bin/sh
# Bans, licences and sources of all dependencies (deny.toml). The advisory database is not part of it: that has to be
# fetched from the network. cargo-deny is installed once under target/tools, from the crate registry.
set -eu
cd "$(dirname "$0")/.."
VERSION=0.20.2
deny=target/tools/bin/cargo-deny
if command -v cargo-deny >/dev/null; then
    deny=$(command -v cargo-deny)
elif [ ! -x "$deny" ]; then
    echo "installing cargo-deny $VERSION" >&2
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        cargo install --quiet --locked --root target/tools --version "$VERSION" cargo-deny
fi
"$deny" --log-level error --all-features check bans licenses sources
