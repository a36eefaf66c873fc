# One thin call per stage. `make` prints help, `make -n TARGET` the plan. What a stage needs and makes
# is known by its record.json, which it writes last; paths come from [run] in CONFIG.

CONFIG ?= configs/demo.toml
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
ABAW   := $(VENV)/bin/abaw-submit
READY  := $(VENV)/.ready

CFG := $(shell $(PYTHON) -m abaw_submit.config $(CONFIG))
$(foreach word,$(CFG),$(eval $(word)))
$(if $(CFG_error),$(error $(subst |, ,$(CFG_error))))
spaced = $(subst |, ,$(1))

RUN     ?= $(CFG_name)
TASK    ?= $(call spaced,$(CFG_tasks))
FOLDS   ?= $(CFG_folds)
WORK    := work/$(RUN)
TRAINED := $(or $(CFG_trained),$(RUN))
TRAINED_WORK := work/$(TRAINED)
CKPT    := checkpoints/$(TRAINED)
SUB     := submissions/$(RUN)

tasks   := $(shell echo "$(TASK)" | tr A-Z a-z)
folds   := $(shell seq 0 $$(( $(FOLDS) - 1 )))
all_folds := $(folds) $(if $(filter True,$(CFG_official)),official)
upper    = $(shell echo $(1) | tr a-z A-Z)
audio    = $(call spaced,$(CFG_audio_$(1)))
audios  := $(sort $(foreach t,$(tasks),$(call audio,$(t))))

CROPS   := $(WORK)/crops/record.json
MAE     := $(CKPT)/mae/record.json
CORPUS  := $(if $(CFG_corpus),$(CFG_corpus)/record.json)
VIDEOS  ?= $(CFG_videos)
VIDEOS_CHANGED := $(or $(CORPUS),$(VIDEOS))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help setup demo demo-run crop features pretrain finetune folds train ensemble smooth submission check \
        report ablate test lint bench clean

help: ## Show this help
	@echo "usage: make TARGET [CONFIG=configs/NAME.toml] [TASK='AU EXPR VA'] [RUN=name] [FOLDS=5]"
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv and install the package with its exact versions
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## Everything on a synthetic corpus: every stage, three checked zips, a table of scores
	@if $(MAKE) -q --no-print-directory CONFIG=$(CONFIG) demo-run; \
	then echo "Nothing to do: the demo is complete. See $(SUB)/ and $(SUB)/report.html (make clean starts over)."; \
	else start=$$(date +%s); \
	  $(if $(filter-out 1,$(CFG_jobs)),OMP_NUM_THREADS=1) $(MAKE) --no-print-directory -j$(CFG_jobs) --output-sync=line CONFIG=$(CONFIG) demo-run \
	  && $(ABAW) report --run $(WORK) --annotations $(CFG_annotations) --table \
	  && echo "Done in $$(( $$(date +%s) - start )) s. Checked zips and report.html are in $(SUB)/"; fi
demo-run: submission ablate report

ifneq ($(CORPUS),)
$(CORPUS): | $(READY)
	$(ABAW) demo-data $(CFG_corpus) -c $(CONFIG)
endif

# ---- faces -------------------------------------------------------------------------------------------
templates := $(foreach t,$(tasks),$(CFG_template_$(t)))
crop: $(CROPS) ## Face crops of every video, with a ledger line for each official row
$(CROPS): $(VIDEOS_CHANGED) | $(READY)
	@test -n "$(VIDEOS)" || { echo "No videos: give VIDEOS=FOLDER, or set what [run] videos in $(CONFIG) names."; exit 2; }
	$(ABAW) crop $(VIDEOS) --out $(@D) -c $(CONFIG) $(addprefix --rows-from ,$(CFG_annotations) $(templates))

ifeq ($(CORPUS),)
ifneq ($(VIDEOS),)
$(VIDEOS):
	@echo "No folder $@: set [run] videos in $(CONFIG), or give VIDEOS=FOLDER."; exit 2
endif
endif

# ---- the encoder -------------------------------------------------------------------------------------
ENCODER := $(if $(CFG_encoder),$(CFG_encoder),$(CKPT)/mae)
ENCODER_RECORD := $(if $(CFG_encoder),,$(MAE))
pretrain: $(MAE) ## Pre-train the masked autoencoder on face pictures that are not Aff-Wild2
ifeq ($(CFG_trained),)
$(MAE): $(CORPUS) | $(READY)
	$(ABAW) pretrain $(CFG_faces) --out $(@D) -c $(CONFIG)
endif

finetune: $(foreach t,$(tasks),$(foreach k,$(all_folds),$(CKPT)/$(t)/encoder_$(k)/record.json)) ## Fine-tune it per task and fold
folds: $(foreach t,$(tasks),splits/$(TRAINED)_$(t).json.record.json) ## Leak-proof folds per task
features: $(foreach t,$(tasks),$(foreach k,$(all_folds),$(WORK)/features/mae_$(t)_$(k)/record.json)) \
          $(foreach a,$(audios),$(WORK)/features/$(a)/record.json) ## Visual and audio features of every row
train: $(foreach t,$(tasks),$(foreach k,$(all_folds),$(CKPT)/$(t)/fold_$(k)/record.json)) ## The TMF of every task and fold

define AUDIO_RULES
$(WORK)/features/$(1)/record.json: $(CROPS) | $(READY)
	$(ABAW) extract --extractor $(1) --videos $(VIDEOS) --crops $(WORK)/crops --out $$(@D) -c $(CONFIG)
endef
$(foreach a,$(audios),$(eval $(call AUDIO_RULES,$(a))))

# 1: task, 2: TASK, 3: fold
define FOLD_RULES
ifeq ($(CFG_trained),)
$(CKPT)/$(1)/encoder_$(3)/record.json: $(CROPS) $(ENCODER_RECORD) splits/$(RUN)_$(1).json.record.json
	$(ABAW) finetune --task $(2) --crops $(WORK)/crops --annotations $(CFG_annotations) --encoder $(ENCODER) \
	  --splits splits/$(RUN)_$(1).json --fold $(3) $(if $(CFG_template_$(1)),--tracks $(CFG_template_$(1))) --out $$(@D) -c $(CONFIG)
$(CKPT)/$(1)/fold_$(3)/record.json: $(WORK)/features/mae_$(1)_$(3)/record.json $(foreach a,$(call audio,$(1)),$(WORK)/features/$(a)/record.json)
	$(ABAW) train --task $(2) --features $(WORK)/features/mae_$(1)_$(3) $(foreach a,$(call audio,$(1)),--features $(WORK)/features/$(a)) \
	  --annotations $(CFG_annotations) --splits splits/$(RUN)_$(1).json --fold $(3) $(if $(CFG_template_$(1)),--tracks $(CFG_template_$(1))) --out $$(@D) -c $(CONFIG)
$(CKPT)/$(1)/visual_$(3)/record.json: $(WORK)/features/mae_$(1)_$(3)/record.json
	$(ABAW) train --task $(2) --features $(WORK)/features/mae_$(1)_$(3) \
	  --annotations $(CFG_annotations) --splits splits/$(RUN)_$(1).json --fold $(3) --out $$(@D) -c $(CONFIG)
endif
$(WORK)/features/mae_$(1)_$(3)/record.json: $(CROPS) $(CKPT)/$(1)/encoder_$(3)/record.json
	$(ABAW) extract --extractor mae --checkpoint $(CKPT)/$(1)/encoder_$(3) --crops $(WORK)/crops \
	  $(if $(CFG_annotations),--tracks $(CFG_annotations)/$$(CHALLENGE_$(1))) $(if $(CFG_template_$(1)),--tracks $(CFG_template_$(1))) --out $$(@D) -c $(CONFIG)
endef

# 1: task, 2: TASK
define TASK_RULES
ifeq ($(CFG_trained),)
splits/$(RUN)_$(1).json.record.json: $(CORPUS) | $(READY)
	$(ABAW) split --task $(2) --annotations $(CFG_annotations) --folds $(FOLDS) $(if $(CFG_template_$(1)),--test $(CFG_template_$(1))) --out splits/$(RUN)_$(1).json -c $(CONFIG)
$(WORK)/$(1)/recipe/record.json: $(foreach k,$(folds),$(CKPT)/$(1)/fold_$(k)/record.json)
	$(ABAW) select --task $(2) $(foreach k,$(folds),--scores tmf=$(CKPT)/$(1)/fold_$(k)/scores_validation.h5) \
	  --truth $(CFG_annotations) --out $$(@D) -c $(CONFIG)
$(WORK)/$(1)/test_scores.h5.record.json: $(WORK)/$(1)/recipe/record.json $(foreach k,$(all_folds),$(CKPT)/$(1)/fold_$(k)/record.json)
	$(ABAW) apply --recipe $(WORK)/$(1)/recipe $(foreach k,$(all_folds),--scores tmf=$(CKPT)/$(1)/fold_$(k)/scores_test.h5) --out $(WORK)/$(1)/test_scores.h5
$(1)_template := $(CFG_template_$(1))
else
$(WORK)/$(1)/template.txt.record.json: $(CROPS)
	$(ABAW) template --task $(2) --crops $(WORK)/crops --out $(WORK)/$(1)/template.txt
$(foreach k,$(all_folds),$(WORK)/$(1)/scores_$(k).h5.record.json): $(WORK)/$(1)/scores_%.h5.record.json: \
    $(WORK)/features/mae_$(1)_%/record.json $(WORK)/$(1)/template.txt.record.json $(foreach a,$(call audio,$(1)),$(WORK)/features/$(a)/record.json)
	$(ABAW) predict --checkpoint $(CKPT)/$(1)/fold_$$* --features $(WORK)/features/mae_$(1)_$$* $(foreach a,$(call audio,$(1)),--features $(WORK)/features/$(a)) \
	  --tracks $(WORK)/$(1)/template.txt --out $(WORK)/$(1)/scores_$$*.h5
$(WORK)/$(1)/test_scores.h5.record.json: $(foreach k,$(all_folds),$(WORK)/$(1)/scores_$(k).h5.record.json)
	$(ABAW) apply --recipe $(TRAINED_WORK)/$(1)/recipe $(foreach k,$(all_folds),--scores tmf=$(WORK)/$(1)/scores_$(k).h5) --out $(WORK)/$(1)/test_scores.h5
$(1)_template := $(WORK)/$(1)/template.txt
endif
$(SUB)/$(2).txt.record.json: $(WORK)/$(1)/test_scores.h5.record.json
	$(ABAW) format --task $(2) --scores $(WORK)/$(1)/test_scores.h5 --template $$($(1)_template) --out $(SUB)/$(2).txt
$(SUB)/$(2).zip.record.json: $(SUB)/$(2).txt.record.json
	$(ABAW) check $(SUB)/$(2).txt --task $(2) --template $$($(1)_template)
	$(ABAW) pack $(SUB)/$(2).txt --task $(2) --template $$($(1)_template) --out $(SUB)/$(2).zip
endef
CHALLENGE_au   := AU_Detection_Challenge
# called Classification up to edition 5
CHALLENGE_expr := $(or $(notdir $(firstword $(wildcard $(CFG_annotations)/EXPR_*))),EXPR_Recognition_Challenge)
CHALLENGE_va   := VA_Estimation_Challenge
$(foreach t,$(tasks),$(foreach k,$(all_folds),$(eval $(call FOLD_RULES,$(t),$(call upper,$(t)),$(k)))))
$(foreach t,$(tasks),$(eval $(call TASK_RULES,$(t),$(call upper,$(t)))))

ifneq ($(CFG_trained),)
$(CKPT)/%/record.json:
	@echo "Run $(CFG_trained) is not trained: $@ is missing. Train it first (make $(CFG_trained))."; exit 2
endif

# ---- after training ----------------------------------------------------------------------------------
oof = $(foreach k,$(folds),--scores tmf=$(CKPT)/$(1)/fold_$(k)/scores_validation.h5)
ensemble: train ## Choose only the ensemble weights (select --steps ensemble)
	$(foreach t,$(tasks),$(ABAW) select --task $(call upper,$(t)) $(call oof,$(t)) --truth $(CFG_annotations) --steps ensemble --out $(WORK)/$(t)/ensemble -c $(CONFIG) &&) true
smooth: train ## Choose only smoothing, calibration and thresholds
	$(foreach t,$(tasks),$(ABAW) select --task $(call upper,$(t)) $(call oof,$(t)) --truth $(CFG_annotations) --steps smooth,calibrate,threshold --out $(WORK)/$(t)/smooth -c $(CONFIG) &&) true

submission: $(foreach t,$(tasks),$(SUB)/$(call upper,$(t)).zip.record.json) ## Checked zips: the whole chain
check: submission ## Check the zips again against their templates
	$(foreach t,$(tasks),$(ABAW) check $(SUB)/$(call upper,$(t)).zip --task $(call upper,$(t)) --template $($(t)_template) &&) true
ablate: $(foreach t,$(tasks),$(if $(call audio,$(t)),$(foreach k,$(folds),$(CKPT)/$(t)/visual_$(k)/record.json))) ## Train again without sound, where sound is used
report: $(SUB)/report.html ## One HTML page of the run
$(SUB)/report.html: $(foreach t,$(tasks),$(SUB)/$(call upper,$(t)).zip.record.json) \
    $(if $(CFG_trained),,$(foreach t,$(tasks),$(if $(call audio,$(t)),$(foreach k,$(folds),$(CKPT)/$(t)/visual_$(k)/record.json))))
	$(ABAW) report --run $(WORK) $(if $(CFG_annotations),--annotations $(CFG_annotations)) --out $@

# ---- the project itself ------------------------------------------------------------------------------
test: lint ## Lint, type-check and test everything, with coverage
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist worksteal --cov --cov-report=term
lint: $(READY) ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
bench: $(READY) ## Measure the speeds the documentation states
	@for script in bench/[a-z]*.py; do echo "== $$script"; $(VENV)/bin/python $$script || exit 1; done
clean: ## Remove what the run made (not its checkpoints' source data)
	rm -rf $(WORK) $(SUB) $(if $(CFG_trained),,checkpoints/$(RUN) splits/$(RUN)_*.json splits/$(RUN)_*.record.json)
