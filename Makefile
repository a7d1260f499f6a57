# make            release build                  make test     every test, the real clients included
# make demo       the main job, end to end       make bench    the budget, measured
# make check      format, lints, docs, licences  make static   one static file for any Linux
# make directions every session in every tool, by the real clients; writes the README's table
# make screenshots the README's pictures, by a headless Chromium
# make install    the binary with its two names and manual pages   PREFIX=~/.local

PREFIX ?= $(HOME)/.local
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
STATIC := target/$(TARGET)/dist/sessionfs

.PHONY: all demo check test directions screenshots bench static install clean

all:
	cargo build --release --locked

demo: all
	sh tests/demo.sh target/release/sessionfs

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	sh tests/licences.sh

# What can't be set up here is skipped by name; SESSIONFS_TESTS_REFUSE_SKIPS=1 makes a skip a failure.
test:
	sh tests/clients/setup.sh
	sh tests/server/setup.sh
	sh tests/web_browser/setup.sh
	cargo test --locked

directions:
	sh tests/clients/setup.sh
	SESSIONFS_TESTS_REFUSE_SKIPS=1 SESSIONFS_TESTS_UPDATE_TABLES=1 cargo test --locked --test integration directions::every

screenshots:
	sh tests/web_browser/setup.sh
	SESSIONFS_TESTS_REFUSE_SKIPS=1 SESSIONFS_TESTS_SCREENSHOTS=docs/images cargo test --locked --test integration web_browser::screenshots

bench: all
	sh tests/clients/setup.sh
	cargo bench --locked --bench budget

# glibc, linked statically: runs on any Linux of this architecture, in an empty chroot too. There random bytes must come
# from the system call: the other way looks the function up at run time, in vain, and then wants /dev/urandom.
static:
	RUSTFLAGS='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"' cargo build --locked --profile dist --target $(TARGET)
	@file $(STATIC) 2>/dev/null | grep -q 'dynamically linked' && { echo "$(STATIC) is not static" >&2; exit 1; } || true
	@! ldd $(STATIC) 2>&1 | grep -q '=>' || { echo "$(STATIC) needs shared libraries" >&2; exit 1; }
	@ls -l $(STATIC)

install: all
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 target/release/sessionfs '$(DESTDIR)$(PREFIX)/bin/sessionfs'
	ln -sf sessionfs '$(DESTDIR)$(PREFIX)/bin/sfs'
	ln -sf sessionfs '$(DESTDIR)$(PREFIX)/bin/sfsd'
	target/release/sessionfs man '$(DESTDIR)$(PREFIX)/share/man/man1'

clean:
	cargo clean
