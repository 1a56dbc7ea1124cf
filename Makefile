# Everything runs on the runtime that package.json pins, wherever Node with npm is found.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

TESTS := --test --test-reporter=spec

.PHONY: all build test check demo bench bench-figures bench-peers soak proto proto-check dashboard clean

all: build

# npm leaves this file behind when it has installed what package-lock.json names. Not `npm ci`: that refuses a lock
# without the linter's and buf's builds for other platforms, and not every registry has them all.
node_modules/.package-lock.json: package.json package-lock.json
	npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

build: node_modules/.package-lock.json
	@node scripts/build.ts

# Linter, types, generated messages and dashboard, and the gate against edits of proto/ that would break the wire.
check: node_modules/.package-lock.json
	biome check .
	tsc --noEmit
	buf lint
	node scripts/proto/generate.ts --check
	node scripts/proto/breaking.ts
	node scripts/deploy/dashboard.ts --check

test: build check
	@sh scripts/vpn/install.sh || true
	@sh scripts/deploy/install.sh || true
	node scripts/test.ts

demo: build
	@sh scripts/vpn/install.sh || true
	@node scripts/demo/main.ts

bench: build
	@node scripts/bench/main.ts

# The same, as the document that is checked in.
bench-figures: build
	@node scripts/bench/main.ts --report scripts/bench/FIGURES.md

# What the bench can compare the hook with: curl, Python's grpcio, Go's gRPC.
bench-peers:
	@sh scripts/bench/peers/install.sh

# Hooks, drains and the portal are killed at random moments; then all that was recorded must arrive: make soak ROUNDS=5000
ROUNDS ?= 1000
soak: build
	@node scripts/soak/main.ts $(ROUNDS)

proto: node_modules/.package-lock.json
	node scripts/proto/generate.ts

# Compares our proto/ with the portal's copy, descriptor by descriptor: make proto-check PORTAL=../portal
proto-check: node_modules/.package-lock.json
	@test -n "$(PORTAL)" || { echo "usage: make proto-check PORTAL=path-to-the-portal's-checkout" >&2; exit 2; }
	@node scripts/proto/check.ts "$(PORTAL)"

# Grafana's dashboard, from scripts/deploy/dashboard/
dashboard: node_modules/.package-lock.json
	node scripts/deploy/dashboard.ts

clean:
	rm -rf dist build node_modules
