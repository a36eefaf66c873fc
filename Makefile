# A thin front: the targets of a run are one call of `abaw-submit run` each, which knows what has to be made.
#   make TARGET [CONFIG=configs/NAME.toml] [TASK="AU VA"] [RUN=name] [FOLDS=5] [VIDEOS=folder] [JOBS=4] [PROFILE=slurm]
# `make` prints help, `make -n TARGET` what would be made and why, `make TARGET V=1` the commands as they run.

CONFIG ?= configs/demo.toml
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
READY  := $(VENV)/.ready
ABAW   := $(VENV)/bin/abaw-submit

# what was given on the command line, as an option with its value quoted for the shell
quoted  = '$(subst ','\'',$(1))'
option  = $(if $(filter command,$(firstword $(origin $(1)))),$(2) $(call quoted,$($(1))))
OPTIONS = -c $(call quoted,$(CONFIG)) $(call option,TASK,--task) $(call option,RUN,--run) \
          $(call option,FOLDS,--folds) $(call option,VIDEOS,--videos)
HOW     = $(call option,JOBS,--jobs) $(call option,PROFILE,--profile) $(if $(V),--verbose)
# `make -n` runs it too, with --dry-run
DRY     = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),--dry-run)
run     = $(if $(DRY),test ! -x $(ABAW) ||) $(ABAW) run $(1) $(OPTIONS) $(HOW) $(DRY)

RUN_TARGETS := crop features pretrain finetune folds train ensemble smooth submission check report ablate
.DEFAULT_GOAL := help
.PHONY: help setup demo $(RUN_TARGETS) status test lint bench torture clean

help: ## Show this help
	@echo "usage: make TARGET [CONFIG=configs/NAME.toml] [TASK='AU EXPR VA'] [RUN=name] [FOLDS=5] [JOBS=4] [PROFILE=slurm]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## Make .venv and install the package with its exact versions
# not compiled beforehand: of these libraries' modules a twentieth is ever imported
$(READY): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): about 6 GB on disk; a minute or two where the network is quick."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## Everything on a synthetic corpus: every stage, three checked zips, a table of scores
	+@$(call run,report --table)
crop: ## Face crops of every video, with a ledger line for each official row
pretrain: ## Pre-train the masked autoencoder on face pictures that are not Aff-Wild2
folds: ## Leak-proof folds per task
finetune: ## Fine-tune the encoder per task and fold
features: ## Visual and audio features of every row
train: ## The TMF of every task and fold
ensemble: ## Choose only the ensemble weights
smooth: ## Choose only smoothing, calibration and thresholds
submission: ## Checked zips: the whole chain
check: ## Check the zips again against their templates
ablate: ## The paper's tables: parts, features, filters; again without sound
report: ## One HTML page of the run
$(RUN_TARGETS): $(READY)
	+@$(call run,$@)

status: $(READY) ## Every job of the run: done, stale and why, running, failed or missing
	@$(ABAW) status $(OPTIONS)
clean: $(READY) ## Remove what the run made, and nothing else
	@$(ABAW) clean -c $(call quoted,$(CONFIG)) $(call option,RUN,--run)

test: lint ## Lint, type-check and test everything, with coverage
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist worksteal --cov --cov-report=term
lint: $(READY) ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
bench: $(READY) ## Measure the speeds the documentation states
	@for script in $(filter-out bench/torture.py,$(wildcard bench/[a-z]*.py)); do echo "== $$script"; $(VENV)/bin/python $$script || exit 1; done
torture: $(READY) ## Kill stages at random moments and see that nothing is lost
	$(VENV)/bin/python bench/torture.py
