#!/bin/sh
# The main job, end to end, on recorded sessions in a throw-away home: the daemon captures, a tool deletes its session,
# the session is listed, shown, put back and continued in the other tool.
#
#   tests/demo.sh target/release/sessionfs
set -eu
cd "$(dirname "$0")/.."
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
home=$(mktemp -d)
bin=$home/bin
project=$home/project
mkdir -p "$bin" "$project" "$home/.claude/projects" "$home/.codex/sessions"
ln -s "$binary" "$bin/sfs"
ln -s "$binary" "$bin/sfsd"
sfs() { env -u SFS_HOME -u CLAUDE_CONFIG_DIR -u CODEX_HOME HOME="$home" PATH="$bin:$PATH" sfs "$@"; }
end() {
    sfs daemon stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap end EXIT INT TERM
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() {
    say "$@"
    "$@"
}
# Waits until the list has so many sessions.
captured() {
    tries=0
    while [ "$(sfs list -q | wc -l)" -lt "$1" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "the daemon captured nothing within 20 seconds" >&2; exit 1; }
        sleep 0.1
    done
}

run sfs daemon start
echo "(two coding sessions happen …)"
cp -R tests/fixtures/claude/multi/.claude/. "$home/.claude/"
cp -R tests/fixtures/codex/patch/.codex/. "$home/.codex/"
captured 2
run sfs list
claude=$(sfs list -q --tool claude-code)
codex=$(sfs list -q --tool codex)
run sfs show "$claude"
run sfs show "$claude" -m

echo
echo "(Claude Code deletes its session, as it does after 30 days …)"
rm -r "$home/.claude/projects"
run sfs resume "$claude" --in codex --project "$project" --no-launch
run sfs resume "$codex" --in claude-code --project "$project" --no-launch
run sfs restore "$claude"
cmp tests/fixtures/claude/multi/.claude/projects/*/*.jsonl "$home"/.claude/projects/-home-dev-work-multi/*.jsonl
echo "(the restored file equals the recorded one, byte for byte)"
run sfs
run sfs admin check
