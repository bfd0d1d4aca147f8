# `make demo` shows Mandate at work, `make test` proves it. Both install what they
# need on Debian 12 and say so; see scripts/deps.

CARGO ?= cargo
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo) env

.PHONY: build demo test nightly crash bench lint docs deps

build:
	$(CARGO) build --locked --release

# A real Dovecot and Postfix with Mandate in front, a short tour, and logins to try.
# DEMO_ONESHOT=1 ends after the tour. Postfix is started by root only.
demo: deps
	$(CARGO) build --locked --bin mandate --example demo
	@$(AS_ROOT) MANDATE_BINARY=$(CURDIR)/target/debug/mandate \
		DEMO_ONESHOT=$(DEMO_ONESHOT) target/debug/examples/demo

test: deps
	$(CARGO) test --locked --no-fail-fast

# What takes too long for every change: the tests marked #[ignore = "nightly: ..."].
nightly: deps
	$(CARGO) test --locked --release --no-fail-fast -- --include-ignored

# 1,000 submissions, and the daemon is killed at random instants: what became of each, as a
# table. CRASH_SEED=n repeats the instants.
crash: deps
	CRASH_SUBMISSIONS=$(or $(CRASH_SUBMISSIONS),1000) CRASH_KILLS=$(or $(CRASH_KILLS),150) \
		$(CARGO) test --locked --test real -- --nocapture crash::

# Mandate beside haproxy, same run, same upstream: a table of CPU time and memory.
# BENCH_QUICK=1 for a minute instead of six, BENCH_ONLY=noop,idle for some cases; see
# benches/proxies/settings.rs.
bench: deps
	$(CARGO) bench --locked --bench proxies

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

deps:
	@scripts/deps
