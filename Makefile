# `make run` and `make test` do all the set-up that they need, on a fresh Debian 12 machine with Rust.
SHELL = /bin/sh
CARGO ?= cargo
SHIM = services/executor/shim/Cargo.toml

.PHONY: run stop test build install deb setup-run setup-deb setup-test setup-kernels lint format unit images privileged end-to-end chaos chaos-churn fuzz hostile power-loss kill-matrix test-kernels test-kernels-short plugins bench bench-peers bench-check bench-scale bench-report bench-programs bench-transfers schema clean help

help:
	@echo 'make run      build, start cctl, run a container and show its output'
	@echo 'make stop     end what `make run` started'
	@echo 'make test     all tests and checks'
	@echo 'make build    optimised programs, in target/release'
	@echo 'make install  copy the programs, manuals and completions below $$(DESTDIR)$$(PREFIX)'
	@echo 'make deb      a Debian package, in target'
	@echo 'make lint     formatting, lints, licences, duplicate dependencies'
	@echo 'make unit     tests that need no root'
	@echo 'make privileged end-to-end   tests on the kernel, as root'
	@echo 'make chaos chaos-churn   KILLS (200) at random among users at work; CONTAINERS (200) made under a steady beat of kills; by a SEED (1)'
	@echo 'make fuzz     the parsers of untrusted bytes, FUZZ_SECONDS (20) each'
	@echo 'make hostile  every method of every service called with nonsense, CALLS (100000) each, by a SEED (1)'
	@echo 'make kill-matrix   each service killed at each step of each operation'
	@echo 'make test-kernels   tests on Debian'\''s kernels 6.1 and 6.12, with cgroup v2 alone, on emulated machines'
	@echo 'make test-kernels-short   a minute of that, a part of `make test`'
	@echo 'make bench    cctl timed beside other engines and runtimes, and beside the least that the kernel needs; ROUNDS (20)'
	@echo 'make bench-peers   install those that Debian has'
	@echo 'make bench-transfers   pulls, pushes, commit, export and diff timed beside podman, docker and skopeo'
	@echo 'make bench-programs   what the comparisons need: the floor, and the ends of traffic'
	@echo 'make bench-scale   SCALE (1000) containers at once: how all grows'
	@echo 'make bench-report  both, and the figures and plots of docs/performance.md of them'
	@echo 'make bench-check   fails if target/release is slower than the programs in BASE, or than where this branch left main'
	@echo 'make power-loss   the power goes at every moment of a recorded run'
	@echo 'make format   format the sources'
	@echo 'make schema   renew schema/contract.cgr from the .capnp files'
	@echo 'make clean    remove what was built'

run: setup-run build
	@deploy/demo

stop:
	@. deploy/demo.env && "$$CCTL_BIN/cctl" system stop --containers

setup-run:
	@deploy/setup build run

setup-deb:
	@deploy/setup build deb

setup-test:
	@deploy/setup build test

setup-kernels:
	@deploy/setup build kernels

# The services are one file with six names: see docs/decisions/0030-one-file.md.
SERVICES = image-store filesystem network executor log-collector containers
build:
	$(CARGO) build --release --locked --bins --package supervisor --package services --package conformance
	@CARGO='$(CARGO)' deploy/client
	$(CARGO) build --release --locked --manifest-path $(SHIM) --target-dir target
	@for service in $(SERVICES); do ln -f target/release/cctl-services target/release/$$service; done

# What `make build` has built: again and again, and also over an instance that runs (its programs are replaced whole).
PREFIX ?= /usr/local
BIN ?= target/release
install:
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/cctl $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/cctl/schema \
		$(DESTDIR)$(PREFIX)/share/cctl/apparmor \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install $(BIN)/cctl $(BIN)/cctl-conformance $(DESTDIR)$(PREFIX)/bin/
	install -m 644 schema/*.capnp $(DESTDIR)$(PREFIX)/share/cctl/schema/
	install -m 644 deploy/apparmor/cctl-default $(DESTDIR)$(PREFIX)/share/cctl/apparmor/
	install $(BIN)/cctl-supervisor $(BIN)/cctl-shim $(DESTDIR)$(PREFIX)/libexec/cctl/
	install $(BIN)/cctl-services $(DESTDIR)$(PREFIX)/libexec/cctl/services.new
	@for service in $(SERVICES); do ln -f $(DESTDIR)$(PREFIX)/libexec/cctl/services.new $(DESTDIR)$(PREFIX)/libexec/cctl/$$service.new \
		&& mv -f $(DESTDIR)$(PREFIX)/libexec/cctl/$$service.new $(DESTDIR)$(PREFIX)/libexec/cctl/$$service; done
	@rm $(DESTDIR)$(PREFIX)/libexec/cctl/services.new
	$(BIN)/cctl man $(DESTDIR)$(PREFIX)/share/man/man1
	$(BIN)/cctl completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/cctl
	$(BIN)/cctl completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_cctl
	$(BIN)/cctl completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/cctl.fish

# target/cctl_*.deb
deb: setup-deb build
	@deploy/deb

# Short feedback first.
test: setup-test lint unit build privileged end-to-end test-kernels-short fuzz

lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path $(SHIM) --check
	$(CARGO) clippy --locked --workspace --all-targets --features tests/kernels -- -D warnings
	$(CARGO) clippy --release --locked --manifest-path $(SHIM) --target-dir target -- -D warnings

unit:
	$(CARGO) test --locked --workspace --exclude tests --lib --bins
	$(CARGO) test --locked --package tests --test policy

# Tests on the real kernel, as root; each cleans up, and checks that it did. Suites run side by side.
privileged: build
	tests/all -- --workspace --exclude tests --test '*'

# Images of Debian packages: made once, because the suites have no network but their own.
IMAGES = $(CURDIR)/target/test-images
images:
	@mkdir -p $(IMAGES)
	@for name in python sshd debian systemd; do \
		[ -f $(IMAGES)/$$name.tar ] || { tests/recipes/make $$name > $(IMAGES)/$$name.new 2> $(IMAGES)/$$name.log \
			&& mv $(IMAGES)/$$name.new $(IMAGES)/$$name.tar || { cat $(IMAGES)/$$name.log; exit 1; }; }; \
	done

# The plugins of tests/plugins: what they need is fetched here, because the suites have no network but their own.
VENV = $(CURDIR)/target/plugin-venv
plugins:
	@cmp -s tests/plugins/requirements.txt $(VENV)/requirements.txt || { rm -rf $(VENV) && python3 -m venv $(VENV) \
		&& $(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/plugins/requirements.txt \
		&& cp tests/plugins/requirements.txt $(VENV)/; }
	@cp Cargo.lock tests/plugins/loopback/
	$(CARGO) build --release --manifest-path tests/plugins/loopback/Cargo.toml --target-dir target/plugins

end-to-end: build images plugins
	CCTL_TEST_IMAGES=$(IMAGES) tests/all -- --package tests

# Every recorded moment; `make test` tries some of them.
power-loss: setup-test build
	POWER_LOSS_CUTS=all tests/all --print -- --package tests --test power_loss

# Users at work while our processes are killed, stopped and restarted at random; the seed chooses when and whom.
KILLS ?= 200
SEED ?= 1
MONITORS ?= 1
CONTAINERS ?= 200
CHAOS = $(CARGO) --config 'target."cfg(unix)".runner="$(CURDIR)/tests/apart"' test --locked --package tests --test chaos --
chaos: build
	CCTL_CHAOS_KILLS=$(KILLS) CCTL_CHAOS_SEED=$(SEED) CCTL_CHAOS_MONITORS=$(MONITORS) $(CHAOS) --nocapture users_notice_nothing

chaos-churn: build
	CCTL_CHAOS_CONTAINERS=$(CONTAINERS) CCTL_CHAOS_SEED=$(SEED) $(CHAOS) --nocapture containers_come_and_go

FUZZ_SECONDS ?= 20
fuzz:
	tests/fuzz/run $(FUZZ_SECONDS)

# Every method of every service, with parameters that mean nothing, and broken messages.
CALLS ?= 100000
hostile: build
	CCTL_HOSTILE_CALLS=$(CALLS) CCTL_HOSTILE_SEED=$(SEED) tests/all --print -- --package tests --test hostile

format:
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path $(SHIM)

# Each service is killed at each step of each operation: a quarter of an hour.
kill-matrix: setup-test build
	CCTL_MATRIX_STRIDE=1 tests/all --print -- --package tests --test matrix

# On Debian's kernels, emulated: tests/kernels/run says more.
test-kernels: setup-kernels build
	tests/kernels/run

# A few of those tests, on the older kernel.
test-kernels-short: setup-kernels build
	tests/kernels/run --short

# Whatever of podman, docker, containerd, crun, runc and youki is installed, in turns with cctl and with the floor: minutes.
ROUNDS ?= 20
SCALE ?= 1000
BENCH = target/bench
bench: setup-test build bench-programs
	tests/apart tests/bench/engines --rounds $(ROUNDS) --json $(BENCH)/engines.json

bench-scale: setup-test build bench-programs
	tests/apart tests/bench/engines --only cctl --parts '' --scale $(SCALE) --json $(BENCH)/scale.json

bench-report: bench bench-scale
	tests/bench/report docs $(BENCH)/engines.json $(BENCH)/scale.json

# Static: one of them runs in containers.
bench-programs:
	RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --release --locked --manifest-path tests/bench/floor/Cargo.toml --target-dir $(BENCH)

# BASE: a directory of programs. Without it, those of the commit at which this branch has left main are built first.
BASE ?=
CHECK_ROUNDS ?= 40
bench-check: setup-test build
	base='$(BASE)' && base=$${base:-$$(tests/bench/base)} && tests/apart tests/bench/check --base "$$base" --rounds $(CHECK_ROUNDS)

bench-peers:
	deploy/setup build test bench

# Pulls and pushes beside podman and skopeo: minutes.
bench-transfers: setup-test build
	tests/apart tests/bench/transfers

schema:
	cd schema && capnp compile -o- *.capnp > contract.cgr

clean:
	$(CARGO) clean
