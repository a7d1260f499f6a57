#!/bin/sh
# Installs the real clients that the tests in this folder drive, what is needed to shut them into a network namespace, and
# ripgrep, which the search is compared with.
# Idempotent: what is there is left alone. Needs node 20 or newer and npm; nobody is logged in.
#
#   tests/clients/setup.sh                        all clients, at the versions the tests are written for
#   tests/clients/setup.sh codex 0.50.0           one client at another version, beside the others
#
# They lie in target/clients/TOOL/VERSION (or $SESSIONFS_TEST_CLIENTS/TOOL/VERSION).
set -eu
cd "$(dirname "$0")/../.."
dir=${SESSIONFS_TEST_CLIENTS:-target/clients}

say() { echo "clients: $*" >&2; }

# The Debian packages: unshare and mount, ip to bring the loopback up, and rg. Only root can add them.
debian() {
    missing=
    command -v unshare >/dev/null || missing="$missing util-linux"
    command -v mount >/dev/null || missing="$missing mount"
    command -v ip >/dev/null || missing="$missing iproute2"
    command -v rg >/dev/null || missing="$missing ripgrep"
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "missing:$missing (the tests that need them will be skipped)"
        return 0
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# npm_install TOOL VERSION PACKAGE: into a temporary folder first, so that an interrupted run leaves nothing half done.
npm_install() {
    [ ! -d "$dir/$1/$2" ] || return 0
    if ! command -v npm >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
        say "node 20 or newer and npm are needed for $1 $2 (its tests will be skipped)"
        return 0
    fi
    say "installing $1 $2"
    mkdir -p "$dir/$1"
    rm -rf "$dir/$1/.$2.part"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$dir/$1/.$2.part" "$3@$2"
    mv "$dir/$1/.$2.part" "$dir/$1/$2"
}

client() {
    case $1 in
        claude) npm_install claude "$2" @anthropic-ai/claude-code ;;
        codex) npm_install codex "$2" @openai/codex ;;
        gemini) npm_install gemini "$2" @google/gemini-cli ;;
        *) say "unknown client $1: claude, codex or gemini"; exit 2 ;;
    esac
}

debian
if [ $# -gt 0 ]; then
    client "$1" "${2:?usage: setup.sh [TOOL VERSION]}"
else
    client claude 2.1.330
    client codex 0.169.0
    client gemini 0.61.0
fi
