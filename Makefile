# `make demo` and `make test` do all of their set-up on a fresh Debian 12 or Ubuntu 22.04+ with rustup, git and make.

CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
KESTREL := $(CARGO_TARGET_DIR)/release/kestrel

.DEFAULT_GOAL := help
.PHONY: help demo test build bench bench-engine check-memory setup install

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: build ## Fly the synthetic world: table, report and recording in runs/demo
	$(KESTREL) demo --out runs/demo

test: setup ## Format, lints, and all tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked

build: setup ## The kestrel binary, optimised
	cargo build --release --locked

bench: setup ## Ratios: hops of the graph, the synthetic world, the odometry
	cargo bench --workspace --locked

bench-engine: setup ## Kestrel's engine beside onnxruntime and OpenVINO, in a table
	bench/engine/run.sh

check-memory: setup ## The engine's kernels under AddressSanitizer
	scripts/memory_check.sh

install: setup ## kestrel into ~/.cargo/bin
	cargo install --path . --locked

setup:
	@scripts/setup.sh
