# Thin on purpose: each target is one obvious command.
.PHONY: setup build demo test conformance bench fuzz lint manifests

CARGO ?= cargo
DUMP ?=
BUCKET ?=
SECONDS ?= 120

setup:            ## install what is missing with apt, and say so
	@./deploy/setup

build: setup
	$(CARGO) build --locked --workspace --bins

demo: build       ## the whole recovery, from a dying estate to HTTPS; KEEP=1 stays up; DUMP=FILE BUCKET=DIR use your own; DISASTER=account loses all but the archive
	@DUMP="$(DUMP)" BUCKET="$(BUCKET)" DISASTER="$(DISASTER)" ./tests/e2e/demo

test: build       ## every test, against real servers
	$(CARGO) test --locked --workspace

conformance: build ## other people's clients against one sandbox: a table client × operation
	@./tests/conformance/run

bench: setup      ## the sandbox's figures on a release build, against what it promises; LARGE=1 also seeds a large world
	@./tests/bench/sandbox

fuzz: setup       ## the parsers that read foreign bytes, with libFuzzer; SECONDS=3600 for longer
	@./tests/fuzz/run $(SECONDS)

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@./deploy/check-lints
	@./deploy/prometheus/check

manifests:        ## write crds/manifests from the types
	$(CARGO) run --locked -p reprise-crds --bin reprise-crds-manifests
