# make test: everything, on a machine with Python 3.11 and nothing installed. make help: the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup lint types imports schemas dashboards test unit faults demo bench soak lock clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## the environment in .venv, from the locked hashes

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict
	$(BIN)/mypy

imports: setup ## who may import whom
	$(BIN)/lint-imports --no-logo

# Most of the time is waiting for other processes, so more workers than cores; in development mode, in all of them.
unit: setup ## the tests but for those of faults; ARGS="-n 0 -k name" for some, one after the other
	PYTHONDEVMODE=1 $(BIN)/python -m pytest -n 3 --dist worksteal --ignore tests/faults $(ARGS)

# By themselves: beside what builds images and starts browsers, brokers miss the deadlines that these are about.
faults: setup ## the tests of faults, and their table
	PYTHONDEVMODE=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/faults $(ARGS)

schemas: setup ## docs/schemas and docs/events.md, made anew of the code
	$(BIN)/python -m tests.contracts

dashboards: setup ## deploy/grafana/dashboards, made anew of the code
	$(BIN)/python -m deploy.grafana

demo: setup ## simulated vendors, a broker and the daemon; KAFKA=host:port for your own; ARGS="--seconds 20"
	$(BIN)/collector demo $(if $(KAFKA),--kafka $(KAFKA)) $(ARGS)

bench: setup ## events per second and memory, against a real Kafka (needs Java and Maven); some minutes
	$(BIN)/python -m bench

soak: setup ## the faults of the tests, again and again; ARGS="--seconds 1800 --seed 7"
	$(BIN)/python -m tests.faults $(ARGS)

test: lint types imports unit faults ## everything that must hold

lock: setup ## resolve the dependencies anew into requirements/
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group pyproject.toml:build -c requirements/dev.txt -o requirements/build.txt

clean: ## all that these commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .cache
