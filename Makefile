# `make demo`, `make test` and `make bench` work on a bare checkout: each sets up what it needs.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SDKS   := .venv-sdks

.PHONY: setup demo test lint types unit bench clean constraints

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup
	$(BIN)/cloudops run -f examples/flights/cloudops.yaml

test: lint types unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

unit: setup $(SDKS)/.installed
	$(BIN)/pytest -n auto --dist worksteal

# The clouds' own clients (over 1 GB) in an environment of their own: they have to work unmodified, and are measured.
$(SDKS)/.installed: constraints-sdks.txt | $(STAMP)
	@test -x $(SDKS)/bin/python || $(PYTHON) -m venv $(SDKS)
	$(BIN)/uv pip install --quiet --python $(SDKS)/bin/python --compile-bytecode -r constraints-sdks.txt
	@touch $@

bench: setup $(SDKS)/.installed
	$(BIN)/python -m benchmarks

PIN := $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links
# Re-pins every dependency to the newest releases that resolve together.
constraints: $(STAMP)
	$(PIN) pyproject.toml --extra dev -o constraints.txt
	printf 'awscli\nboto3\nsagemaker\nazure-ai-ml\ngoogle-cloud-aiplatform\n' | $(PIN) - -o constraints-sdks.txt

clean:
	rm -rf $(VENV) $(SDKS) .mypy_cache .pytest_cache .ruff_cache
