# Each target does its own set-up on a fresh Debian machine (scripts/setup); a second call is instant.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak clean

help:  ## what can be made
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.run  ## a whole show on this machine: speakers, listener, replay, proof
	$(BIN)/stentor demo $(ARGS)

check: .venv/.dev  ## style, types, import contracts
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## check, then every test
	$(BIN)/pytest $(ARGS)

bench: .venv/.dev  ## figures of this machine, into bench/results
	$(BIN)/python -m bench $(ARGS)

soak: .venv/.dev  ## a long show while processes are killed
	$(BIN)/python -m bench soak $(ARGS)

clean:  ## forget the set-up
	rm -rf .venv build src/*.egg-info

.venv/.run: pyproject.toml requirements/build.txt requirements/run.txt scripts/setup
	bash scripts/setup run

.venv/.dev: pyproject.toml requirements/build.txt requirements/dev.txt scripts/setup
	bash scripts/setup dev
