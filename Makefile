# The two commands are `make run` and `make test`; `make` alone lists the rest.
#
# Needed: a POSIX shell, make, and Python 3.11 or newer with its venv module. No git, no Docker, no PostgreSQL; uv is
# used where it is on the PATH, because it is faster.

.POSIX:
.PHONY: help setup run test check fmt lock demo docs bench migrate clean
.PHONY: image manifests
.PHONY: nightly version dist rollout smoke release-check release-notes promote publish
.SUFFIXES:

# The interpreter that makes the environment; empty: the first of python3.11 … python3 that is new enough.
PYTHON ?=
# More for pytest: make test ARGS="-k trial"
ARGS =

BIN = .venv/bin

# What the two environments are made of. An environment is set up again when one of these files has changed.
RUN_FILES = requirements-embedded.txt pyproject.toml Makefile
DEV_FILES = requirements-dev.txt pyproject.toml Makefile

PIN = "$$uv" pip compile --universal --generate-hashes --no-header --no-annotate --quiet
COMPILE = $(PIN) pyproject.toml

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## make or update .venv with everything for development
	@FILES="$(DEV_FILES)"; REQUIREMENTS=requirements-dev.txt; STAMP=dev; $(ENSURE)

run: ## set up and start on http://127.0.0.1:8000, with a PostgreSQL of its own under .smp/
	@$(ENSURE_RUN)
	@exec $(BIN)/smp serve

demo: ## fill the database with believable data
	@$(ENSURE_RUN)
	@exec $(BIN)/smp demo

migrate: ## bring the database's schema up to date
	@$(ENSURE_RUN)
	@exec $(BIN)/smp migrate

test: setup ## run all tests
	@cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null) || cores=2; \
	workers=$$cores; [ "$$workers" -le 4 ] || workers=4; \
	exec $(BIN)/python -m pytest -n "$$workers" $(ARGS)

check: setup ## lint, types, architecture, migrations, locked requirements: all that is no test
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
	@$(MAKE) manifests

manifests: setup ## render every overlay of k8s/ and hold it against the published schemas
	$(BIN)/python -m pytest -q tests/delivery/test_kubernetes_schemas.py

fmt: setup ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: setup ## write the pages that are generated from the code
	$(BIN)/python -m smp.bootstrap.generated_docs

# Pins that are still allowed stay as they are; UPGRADE=--upgrade takes the newest of all.
lock: ## write the requirements files anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@uv=$$(command -v uv) || uv=$(BIN)/uv; \
	[ -x "$$uv" ] || { echo "make lock needs uv: $(BIN)/python -m pip install uv" >&2; exit 1; }; \
	$(COMPILE) $(UPGRADE) --extra embedded --extra otel --group dev --output-file requirements-dev.txt >/dev/null && \
	$(COMPILE) --extra embedded --extra otel --constraints requirements-dev.txt --output-file requirements-embedded.txt >/dev/null && \
	$(COMPILE) --extra otel --constraints requirements-dev.txt --output-file requirements.txt >/dev/null && \
	$(PIN) --group build --constraints requirements-dev.txt --output-file requirements-build.txt >/dev/null && \
	if grep -l '://' requirements*.txt; then echo "these name an address" >&2; exit 1; fi

image: setup ## build the image, and try it as production runs it, with Docker or without
	@exec scripts/image.sh

bench: setup ## measure: what one process does, and how that was measured
	@exec $(BIN)/python -m benchmarks

# A test may take minutes then, which is no reason to show where it is.
nightly: ## the tests with properties and state machines tried twenty times as hard; takes hours
	@HYPOTHESIS_PROFILE=nightly $(MAKE) test ARGS="-o faulthandler_timeout=3600 $(ARGS)"

# ---------------------------------------------------------------------------------------------------------------------
# From a commit to a release, for .github/workflows; docs/releasing.md says what calls what. Everything that comes from
# outside is an environment variable and quoted, never part of a command.

version: ## print the version
	@sed -n 's/^__version__ = "\(.*\)"$$/\1/p' src/smp/__init__.py

dist: setup ## build the wheel and the source distribution into dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build --directory dist --target sdist --target wheel

rollout: ## bring IMAGE (NAME@sha256:…) to the cluster of KUBE_CONFIG as OVERLAY says
	@if [ -n "$${KUBE_CONFIG:-}" ]; then \
		umask 077; KUBECONFIG=$$(mktemp); export KUBECONFIG; trap 'rm -f "$$KUBECONFIG"' EXIT; \
		printf '%s\n' "$$KUBE_CONFIG" > "$$KUBECONFIG"; \
	fi; \
	k8s/rollout.sh "$${OVERLAY:?}" "$${IMAGE:?}"

smoke: setup ## does the service at URL run this version, and answer as it has to?
	@exec $(BIN)/python -m delivery smoke "$${URL:?}"

release-check: setup ## is TAG this version's, and is the changelog written?
	@exec $(BIN)/python -m delivery check-tag "$${TAG:?}"

release-notes: setup ## print what the changelog says about this version
	@exec $(BIN)/python -m delivery notes

promote: setup ## give the image IMAGE:COMMIT this version for a tag, and render its manifests into dist/
	@mkdir -p dist; \
	image=$$($(BIN)/python -m delivery promote "$${IMAGE:?}" "$${REPOSITORY:?}" "$${COMMIT:?}") || exit 1; \
	echo "$$image"; \
	for overlay in dev production; do \
		$(BIN)/python -m delivery render "$$overlay" "$$image" > "dist/smp-$$overlay.yaml" || exit 1; \
	done

publish: setup ## make the release of TAG in REPOSITORY with what is in dist/
	@exec $(BIN)/python -m delivery publish "$${REPOSITORY:?}" "$${TAG:?}"

clean: ## remove .venv and everything made by tools; .smp, which is your data, stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests migrations benchmarks delivery -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------
# Setting up. The packages are installed by hash from a requirements file, and that is all that uses the network: the
# project itself is put on the path (a .pth file) with a launcher beside it, for installing it in earnest would need a
# build back end and its requirements too, each time pyproject.toml changes. Both name the way relative to themselves,
# so that the folder may be moved. A stamp, which is written last, holds the checksum of what was set up: an
# interrupted set-up is done again, a finished one costs a few milliseconds. Packages are only ever added or changed,
# so a run after a set-up for development takes nothing away.

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

# A .venv whose interpreter is too old or does not start (its Python was removed) is made anew.
MAKE_VENV = if ! $(BIN)/python -c $(NEW_ENOUGH) 2>/dev/null; then \
		$(FIND_PYTHON); \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$$python has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
		echo "Making .venv with $$("$$python" --version)"; \
		rm -rf .venv; \
		"$$python" -m venv .venv; \
	fi

FIND_PYTHON = python="$(PYTHON)"; \
	for candidate in python3.11 python3.12 python3.13 python3.14 python3; do \
		[ -z "$$python" ] || break; \
		if "$$candidate" -c $(NEW_ENOUGH) 2>/dev/null; then python=$$candidate; fi; \
	done; \
	[ -n "$$python" ] && "$$python" -c $(NEW_ENOUGH) 2>/dev/null || { \
		echo "Python 3.11 or newer is needed$${python:+, and $$python is not that}. On Debian and Ubuntu:" \
			"apt install python3 python3-venv; or say where it is: make $@ PYTHON=/path/to/python" >&2; \
		exit 1; }

NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 11))'

# pip is looked for, for uv makes environments without it, and the making of this one may have been interrupted.
INSTALL = echo "Installing the packages of $$REQUIREMENTS"; \
	if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r $$REQUIREMENTS; \
	else \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $$REQUIREMENTS; \
	fi

# The launcher is a shell script that hands itself to the interpreter beside it, and a Python program from there on: a
# "#!" line could name that interpreter only in full, which ends at the first space or after some 120 characters.
LINK = site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo ../../../../src > "$$site/smp.pth"; \
	printf '%s\n' '\#!/bin/sh' "'''exec' \"\$$(dirname -- \"\$$0\")/python\" \"\$$0\" \"\$$@\"" "' '''" \
		'import sys' 'from smp.bootstrap.main import main' 'sys.exit(main())' > $(BIN)/smp; \
	chmod +x $(BIN)/smp
