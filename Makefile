# Each target does its own set-up on a fresh Debian machine (scripts/setup); a second call is instant.
# ARGS goes to the command: make demo ARGS="--for 20s --kill"; make test ARGS="-k serve"
BIN := .venv/bin
# Two workers, by file, those that take long first (tests/conftest.py): most tests wait for a show to go on.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
# Some images set it; then each of the hundreds of processes that tests start would compile its modules anew.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak clean

help:  ## what can be made
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.run  ## a whole show on this machine: speakers, listener, replay, proof
	$(BIN)/stentor demo $(ARGS)

check: .venv/.dev  ## style, types, import contracts
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## check, then every test
	$(BIN)/pytest $(WORKERS) $(ARGS)

bench: .venv/.bench  ## figures of this machine, into bench/results
	$(BIN)/python bench/run.py $(ARGS)

soak: .venv/.dev  ## a long show while processes are killed, or watched: ARGS="--calm --for 3h"
	$(BIN)/python tests/soak.py $(ARGS)

clean:  ## forget the set-up
	rm -rf .venv build src/*.egg-info

SETUP := pyproject.toml requirements/build.txt scripts/setup web/package-lock.json

.venv/.run: $(SETUP) requirements/run.txt
	bash scripts/setup run

.venv/.dev: $(SETUP) requirements/dev.txt
	bash scripts/setup dev

.venv/.bench: $(SETUP) requirements/dev.txt
	bash scripts/setup bench
