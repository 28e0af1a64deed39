# Everything here needs python3 (3.11 or newer), make and a package index; .venv is made on first use.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
export PYTHON

RUN := .venv/bin/python -m
PYTEST := $(RUN) pytest
# Two workers fit two cores; the engine's tests start processes of their own.
WORKERS ?= 2

# Of `make faults`; each has a seed of its own.
ROUNDS ?= 1

.PHONY: help setup demo consortium test check bench bench-consortium verifier docs format fuzz campaign faults clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Make .venv (the others do it themselves)
	@sh tools/bootstrap.sh

demo: setup ## Both businesses on an empty ledger, on real invoices and contracts; leaves var/demo
	@$(RUN) tools.demo

consortium: setup ## The same story on four nodes with CometBFT, each with its own keys; leaves var/consortium
	@$(RUN) tools.consortium $(ARGS)

test: setup ## Run the tests (the long ones are in `make campaign`)
	$(PYTEST) -m "not slow and not faults" -n $(WORKERS) --dist worksteal $(ARGS)

check: setup ## Lint, types, import contracts, code rules, generated docs
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy --strict src tools
	.venv/bin/lint-imports --no-logo
	$(RUN) tools.reference --check
	$(RUN) tools.verifier_words --check
	$(PYTEST) -q tests/architecture

bench: setup ## Measure; prints a table and writes var/bench/ledger.json
	@$(RUN) tools.bench $(ARGS)

bench-consortium: setup ## Measure members on CometBFT beside its own application; writes var/bench/consortium.json
	@$(RUN) tools.bench.consortium $(ARGS)

verifier: setup ## Build the stand-alone verifier of evidence bundles, one file: var/verifier/tallystick-verify.pyz
	@$(RUN) tools.verifier

docs: setup ## Write the generated reference pages
	$(RUN) tools.reference
	$(RUN) tools.verifier_words

format: setup ## Format the code, mend what ruff can mend
	$(RUN) ruff check --fix-only .
	$(RUN) ruff format .

fuzz: setup ## Properties and simulations with many more examples than `make test`
	$(PYTEST) --hypothesis-profile=fuzz tests/properties $(ARGS)
	$(RUN) tools.simulate --runs 20 --steps 3000 --jobs $(WORKERS)

campaign: fuzz ## `make fuzz`, then long simulations and the tests that take minutes
	$(RUN) tools.simulate --seed 10000 --runs 100 --steps 10000 --jobs $(WORKERS) --quiet
	$(PYTEST) -m slow $(ARGS)

faults: setup ## Kill, pause, cut off and deceive the members of a consortium; ROUNDS=3 does it three times
	@for round in $$(seq $(ROUNDS)); do \
	  seed=$${TALLYSTICK_FAULT_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; \
	  echo "round $$round of $(ROUNDS): TALLYSTICK_FAULT_SEED=$$seed"; \
	  TALLYSTICK_FAULT_SEED=$$seed $(PYTEST) -m faults -v -rP tests/faults $(ARGS) || exit 1; \
	done

clean: ## Remove .venv, var and caches
	rm -rf .venv .venv.lock var build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
