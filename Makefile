# Thin on purpose: each target is one obvious command.
.PHONY: setup build demo test conformance fuzz soak bench lint image manifests

CARGO ?= cargo
DUMP ?=
BUCKET ?=
SECONDS ?= 120
SOAK ?= 1-10

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

fuzz: setup       ## the parsers that read foreign bytes, with libFuzzer; SECONDS=3600 for longer
	@./tests/fuzz/run $(SECONDS)

soak: build        ## recoveries and drills on days of random faults and deaths of the daemon; SOAK=100-120 for other days
	SOAK=$(SOAK) $(CARGO) test --locked --workspace --test it -- soak:: --nocapture

bench: setup      ## figures of a release build, each beside its target and the tools that a user would pick; SCALE=0.1 ROUNDS=1 for less
	$(CARGO) build --locked --release --workspace --bins
	@status=0; for bench in tests/bench/*; do BUILD=0 "./$$bench" || status=1; done; exit $$status

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@./deploy/check-lints
	@./deploy/prometheus/check

image:            ## a container image of the daemon, with podman, buildah or docker; see deploy/image/build for IMAGE, BASE, BINARY, ARCHIVE
	@./deploy/image/build

manifests:        ## write crds/manifests from the types
	$(CARGO) run --locked -p reprise-crds --bin reprise-crds-manifests
