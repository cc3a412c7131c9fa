# `make test` runs every check. Python 3.11 or newer is the only requirement; `make help` lists the targets.
PYTHON ?= python3
ENGINE ?= docker
EXAMPLES ?= 2000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
REVISION = $(shell git rev-parse HEAD)

.DEFAULT_GOAL := help
.PHONY: help setup format lint types imports schemas dashboards test unit faults fuzz demo bench soak audit lock image bump clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## create the environment in .venv from the locks in requirements/

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required: set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

format: setup ## format the code and apply ruff's safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: setup ## check ruff's rules and the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## check types with mypy, in strict mode
	$(BIN)/mypy

imports: setup ## check which module may import which
	$(BIN)/lint-imports --no-logo

# Tests mostly wait for other processes, so there are more workers than cores.
unit: setup ## run all tests but those of make faults; ARGS="-n 0 -k name" selects some and runs them in one process
	$(BIN)/python -m pytest -n 4 --dist worksteal --ignore tests/faults --ignore tests/alone $(ARGS)

# Run separately: while other tests build images and start browsers, brokers miss the deadlines that are tested here.
# Code 5: ARGS selects none of them. A test in tests/alone limits delays to seconds, so nothing else runs then. What was
# written before is on the disk by then: commits would wait for it for seconds.
faults: setup ## run the fault tests, and print their table of results
	sync
	PYTHONDEVMODE=1 $(BIN)/python -m pytest -n 0 tests/alone $(ARGS) || [ $$? -eq 5 ]
	PYTHONDEVMODE=1 $(BIN)/python -m pytest -n 3 --dist worksteal tests/faults $(ARGS)

# What decodes foreign bytes: responses, state, secrets in any form, requests to the port.
FUZZED = tests/hostile/test_fuzz_responses.py tests/vendors/test_damage.py tests/vendors/test_raw_rows.py tests/vendors/test_leniency.py tests/pipeline/test_damaged_state.py tests/commands/test_redaction.py tests/web/test_fuzz.py
fuzz: setup ## search for bytes that break a decoder, with new random data each time; EXAMPLES=20000 searches longer
	HYPOTHESIS_PROFILE=wide HYPOTHESIS_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n 2 --timeout 0 $(FUZZED) $(ARGS)

schemas: setup ## regenerate docs/schemas and docs/events.md from the code
	$(BIN)/python -m tests.contracts

dashboards: setup ## regenerate deploy/grafana/dashboards from the code
	$(BIN)/python -m deploy.grafana

demo: setup ## run simulated vendors, a broker and the daemon; KAFKA=host:port uses your broker; ARGS="--seconds 20"
	$(BIN)/collector demo $(if $(KAFKA),--kafka $(KAFKA)) $(ARGS)

bench: setup ## measure speed, memory and scale against a real Kafka (needs Java and Maven); ARGS=scale measures one part
	$(BIN)/python -m bench $(ARGS)

soak: setup ## repeat the faults of tests/faults at random; ROUND=1 to 10 runs a tenth; ARGS="--seconds 1800 --seed 7"
	$(BIN)/python -m tests.faults $(if $(ROUND),--round $(ROUND)) $(ARGS)

test: lint types imports unit faults ## run every check and every test; ends with the reasons for skipped tests

# Ids of advisories that do not concern the collector, each with its reason in a comment here.
ACCEPTED_ADVISORIES :=
AUDIT = $(BIN)/pip-audit --strict --disable-pip --vulnerability-service=osv --timeout=20 --progress-spinner=off
audit: setup ## look up the packages of the image in the OSV database of known vulnerabilities, over the internet
	$(AUDIT) --requirement=requirements/run.txt $(addprefix --ignore-vuln=,$(ACCEPTED_ADVISORIES)) $(ARGS)

# Renovate runs the command in the header of each lock, in alphabetical order: docs/decisions/0020-dependency-updates.md.
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version=3.11 --generate-hashes
lock: setup ## upgrade the locks in requirements/ within the bounds of pyproject.toml
	$(LOCK) --group=dev --output-file=requirements/dev.txt pyproject.toml
	$(LOCK) --constraint=requirements/dev.txt --output-file=requirements/run.txt pyproject.toml
	$(LOCK) --constraint=requirements/dev.txt --output-file=requirements/build.txt requirements/build.in

image: ## build the container image, labelled and tagged with the version; ENGINE=podman uses another engine
	$(ENGINE) build --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --tag collector:$(VERSION) --tag collector $(ARGS) .

bump: ## set the version everywhere it is written; TO=x.y.z
	@echo '$(TO)' | grep -qE '^[0-9]+\.[0-9]+\.[0-9]+$$' || { echo 'usage: make bump TO=x.y.z'; exit 2; }
	sed -i 's/^version = ".*"$$/version = "$(TO)"/' pyproject.toml
	sed -i 's/^\( *newTag:\) .*$$/\1 $(TO)/' deploy/kubernetes/kustomization.yaml
	$(MAKE) schemas

clean: ## delete everything that these commands created in this directory
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .cache
