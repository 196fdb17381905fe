# The main commands are `make run` and `make test`; `make` alone lists all of them.
#
# Required: a POSIX shell, make, and Python 3.11 or newer with its venv module. Git, Docker and PostgreSQL are not
# required. If uv is on the PATH, it installs the packages, because it is faster than pip.

.POSIX:
.PHONY: help setup run test check fmt lock demo docs bench migrate clean
.PHONY: image audit alerts kind nightly fuzz version dist rollout smoke release-check release-notes promote publish
.SUFFIXES:

# The interpreter for .venv. If it is empty, the first of python3.11, …, python3 that is new enough is used.
PYTHON ?=
# Arguments for pytest: make test ARGS="-k trial"
ARGS =

BIN = .venv/bin

# An environment is set up again when one of these files has changed.
RUN_FILES = requirements-embedded.txt pyproject.toml Makefile
DEV_FILES = requirements-dev.txt pyproject.toml Makefile

PIN = "$$uv" pip compile --universal --generate-hashes --no-header --no-annotate --quiet
COMPILE = $(PIN) pyproject.toml

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## create or update .venv for development
	@FILES="$(DEV_FILES)"; REQUIREMENTS=requirements-dev.txt; STAMP=dev; $(ENSURE)

run: ## start the service on http://127.0.0.1:8000 with an embedded PostgreSQL in .smp/
	@$(ENSURE_RUN)
	@exec $(BIN)/smp serve

demo: ## fill the database with realistic sample data
	@$(ENSURE_RUN)
	@exec $(BIN)/smp demo

migrate: ## apply the pending migrations to the database
	@$(ENSURE_RUN)
	@exec $(BIN)/smp migrate

test: setup ## run all tests
	@cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null) || cores=2; \
	workers=$$cores; [ "$$workers" -le 4 ] || workers=4; \
	exec $(BIN)/python -m pytest -n "$$workers" --dist worksteal $(ARGS)

check: setup ## run the linters and type checks, on the code, the migrations, the image and the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python $(BIN)/lint-imports --no-logo
	$(BIN)/smp migrate --sql > .venv/migrations.sql
	$(BIN)/squawk .venv/migrations.sql
	$(BIN)/actionlint .github/workflows/*.yml
	$(BIN)/hadolint Dockerfile
	$(BIN)/zizmor --offline --persona pedantic --strict-collection --no-progress --quiet .github
	$(BIN)/python -m pytest -q tests/architecture/test_requirements.py

fmt: setup ## format the code and apply the automatic fixes of ruff
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: setup ## write the documentation pages that are generated from the code, and the examples into the guides
	$(BIN)/python -m smp.bootstrap.generated_docs
	$(BIN)/python -m tests.support.pages

# A pinned version stays while pyproject.toml allows it; UPGRADE=--upgrade takes the newest versions.
lock: ## write the requirements files from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@uv=$$(command -v uv) || uv=$(BIN)/uv; \
	[ -x "$$uv" ] || { echo "make lock needs uv: $(BIN)/python -m pip install uv" >&2; exit 1; }; \
	$(COMPILE) $(UPGRADE) --extra embedded --extra otel --group dev --output-file requirements-dev.txt >/dev/null && \
	$(COMPILE) --extra embedded --extra otel --constraints requirements-dev.txt --output-file requirements-embedded.txt >/dev/null && \
	$(COMPILE) --extra otel --constraints requirements-dev.txt --output-file requirements.txt >/dev/null && \
	$(PIN) --group build --constraints requirements-dev.txt --output-file requirements-build.txt >/dev/null && \
	$(PIN) $(UPGRADE) --group audit --output-file requirements-audit.txt >/dev/null && \
	if grep -l '://' requirements*.txt; then echo "these files contain the address of a package registry" >&2; exit 1; fi

image: setup ## build the image and test it as production runs it, with Docker or podman
	@exec scripts/image.sh

audit: ## look up known vulnerabilities of the packages that are installed for users; uses the network
	@$(FIND_PYTHON); "$$python" -m venv --clear .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		-r requirements-audit.txt
	.venv/audit/bin/pip-audit --disable-pip --require-hashes --strict --progress-spinner off \
		-r requirements.txt -r requirements-embedded.txt -r requirements-build.txt

# The image, with its digest, is the one that compose.yaml starts.
alerts: ## check the alert rules and run their tests with promtool, in Docker
	@image=$$(sed -n 's|^    image: \(prom/prometheus:.*\)$$|\1|p' compose.yaml); \
	for command in "check rules rules.yml" "test rules rules_test.yml"; do \
		docker run --rm --network none --read-only --volume "$$PWD/observability/prometheus:/rules:ro" \
			--workdir /rules --entrypoint promtool "$$image" $$command || exit 1; \
	done

kind: ## roll out the overlay dev on a new kind cluster, forward and back; needs Docker, kind and kubectl
	@exec scripts/kind.sh

bench: setup ## measure the performance and write docs/performance.md
	@exec $(BIN)/python -m benchmarks

# One test may take many minutes here, so the time-out that prints all stacks is longer.
nightly: ## run all tests with twenty times as many generated examples; takes hours
	@HYPOTHESIS_PROFILE=nightly $(MAKE) test ARGS="-o faulthandler_timeout=3600 $(ARGS)"

fuzz: ## send twenty times as many generated requests to a service as the tests do; takes about half an hour
	@FUZZ_EXAMPLES=60 $(MAKE) test ARGS="-o faulthandler_timeout=3600 tests/e2e/test_openapi_conformance.py $(ARGS)"

# ---------------------------------------------------------------------------------------------------------------------
# Releases: the workflows in .github/workflows call these targets; docs/releasing.md describes them. Input comes in
# environment variables and is always quoted, so that it cannot become part of a command.

VERSION = $$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' src/smp/__init__.py)

version: ## print the version
	@echo "$(VERSION)"

dist: setup ## build the wheel and the source distribution into dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build --directory dist --target sdist --target wheel

rollout: ## roll out IMAGE (NAME@sha256:…) with OVERLAY to the cluster of KUBE_CONFIG
	@if [ -n "$${KUBE_CONFIG:-}" ]; then \
		umask 077; KUBECONFIG=$$(mktemp); export KUBECONFIG; trap 'rm -f "$$KUBECONFIG"' EXIT; \
		printf '%s\n' "$$KUBE_CONFIG" > "$$KUBECONFIG"; \
	fi; \
	k8s/rollout.sh "$${OVERLAY:?}" "$${IMAGE:?}"

smoke: ## check that the service at URL runs this version and answers correctly
	@$(FIND_PYTHON); "$$python" scripts/smoke.py "$${URL:?}" "$(VERSION)"

release-check: ## check that TAG is this version and that the changelog has a dated entry for it
	@scripts/release.sh check "$${TAG:?}"

release-notes: ## print the changelog entry of this version
	@scripts/release.sh notes

promote: ## tag the image IMAGE:COMMIT of REPOSITORY with this version, and render its manifests into dist/
	@mkdir -p dist; \
	image=$$(scripts/release.sh promote "$${IMAGE:?}" "$${REPOSITORY:?}" "$${COMMIT:?}") || exit 1; \
	echo "$$image"; \
	for overlay in dev production; do \
		k8s/render.sh "$$overlay" "$$image" > "dist/smp-$$overlay.yaml" || exit 1; \
	done

publish: ## create the release TAG in REPOSITORY with the files in dist/
	@scripts/release.sh publish "$${REPOSITORY:?}" "$${TAG:?}"

clean: ## remove .venv and the files that tools create, but not .smp, which is your data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests migrations benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------
# Setup. Packages are installed from a requirements file, with their hashes; nothing else uses the network. The project
# itself is not installed, because that would need a build back end after each change of pyproject.toml: a .pth file puts
# src on the path, and a launcher lies beside it. Both use relative paths, so that the folder can be moved. The stamp
# holds the checksum of the files above and is written last: an interrupted setup runs again, and a finished one takes a
# few milliseconds. Packages are never removed, so `make run` after `make setup` keeps the development packages.

ENSURE_RUN = FILES="$(RUN_FILES)"; REQUIREMENTS=requirements-embedded.txt; STAMP=run; \
	if [ "$$(cat $(DEV_FILES) | cksum)" != "$$(cat .venv/stamp-dev 2>/dev/null)" ] || [ ! -x $(BIN)/python ]; then \
		$(ENSURE) \
	fi

ENSURE = set -eu; \
	sum=$$(cat $$FILES | cksum); \
	if [ "$$sum" != "$$(cat .venv/stamp-$$STAMP 2>/dev/null)" ] || [ ! -x $(BIN)/python ]; then \
		$(MAKE_VENV); \
		$(INSTALL); \
		$(LINK); \
		echo "$$sum" > .venv/stamp-$$STAMP; \
	fi;

# A .venv is replaced if its interpreter is too old or does not start, for example because its Python was removed.
MAKE_VENV = if ! $(BIN)/python -c $(NEW_ENOUGH) 2>/dev/null; then \
		$(FIND_PYTHON); \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$$python has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
		echo "Creating .venv with $$("$$python" --version)"; \
		rm -rf .venv; \
		"$$python" -m venv .venv; \
	fi

FIND_PYTHON = python="$(PYTHON)"; \
	for candidate in python3.11 python3.12 python3.13 python3.14 python3; do \
		[ -z "$$python" ] || break; \
		if "$$candidate" -c $(NEW_ENOUGH) 2>/dev/null; then python=$$candidate; fi; \
	done; \
	[ -n "$$python" ] && "$$python" -c $(NEW_ENOUGH) 2>/dev/null || { \
		echo "Python 3.11 or newer is required$${python:+, and $$python is older or does not start}. On Debian and" \
			"Ubuntu: apt install python3 python3-venv; or name one: make $@ PYTHON=/path/to/python" >&2; \
		exit 1; }

NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 11))'

# pip may be missing: uv creates environments without it, and an interrupted setup may not have installed it.
INSTALL = echo "Installing the packages of $$REQUIREMENTS"; \
	if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r $$REQUIREMENTS; \
	else \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $$REQUIREMENTS; \
	fi

# The launcher starts as a shell script, which runs the same file with the Python beside it. A "#!" line for that Python
# would need its full path, which must not contain a space or be longer than about 120 characters.
LINK = site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo ../../../../src > "$$site/smp.pth"; \
	printf '%s\n' '\#!/bin/sh' "'''exec' \"\$$(dirname -- \"\$$0\")/python\" \"\$$0\" \"\$$@\"" "' '''" \
		'import sys' 'from smp.bootstrap.main import main' 'sys.exit(main())' > $(BIN)/smp; \
	chmod +x $(BIN)/smp
