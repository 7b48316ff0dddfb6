# `make train` and `make test` are all that a fresh clone needs: they make .venv, install what they need, and run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help train test test-gpu dashboard benchmark format
.DEFAULT_GOAL := help

help:
	@echo "make train      train a VAE (ARGS='variant=beta_vae data=mnist' for another)"
	@echo "make test       style, types and tests"
	@echo "make test-gpu   the tests that need a GPU"
	@echo "make dashboard  TensorBoard on outputs/"
	@echo "make benchmark  the measurements, minutes long"
	@echo "make format     rewrite the code in the house style"
	@echo "PYTHON=python3.12 chooses the interpreter of $(VENV), 3.10 to 3.13"

train: $(VENV)/.installed
	$(BIN)/vae-run train $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-gpu: $(VENV)/.installed-test
	TEST_ON_GPU=1 $(BIN)/python -m pytest -n 4 tests/gpu

dashboard: $(VENV)/.installed
	$(BIN)/tensorboard --logdir outputs --samples_per_plugin images=100

benchmark: $(VENV)/.installed-test
	$(BIN)/python tests/benchmarks/benchmark.py $(ARGS)
	$(BIN)/python tests/benchmarks/sweep.py

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# stamps: once they are there, and newer than pyproject.toml, there is nothing to do
$(VENV)/.installed: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.10 to 3.13 is needed, and $(PYTHON) is not: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@
