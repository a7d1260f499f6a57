#!/bin/sh
# Installs what the tests in this folder drive: Chromium and its WebDriver, from Debian. Idempotent. Only root can add them;
# elsewhere the tests are skipped by name.
set -eu
say() { echo "browser: $*" >&2; }

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "chromium and chromedriver are missing (the tests of the dashboard will be skipped)"
    exit 0
fi
say "installing chromium and chromium-driver"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null ||
    say "they can't be installed here (the tests of the dashboard will be skipped)"
