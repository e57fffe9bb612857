# `make demo` takes real videos from preparation to predictions; `make test` runs what CI runs.
# Needed on the machine: Python 3.11 (3.10 to 3.13 work), git, make, and at first the network.
#
#   make install      .venv with every version that requirements.txt pins
#   make demo         prepare, train, evaluate, export and predict, with files in demo/
#   make results      all of docs/results.md, in results/; stopped, it goes on where it was. Its parts:
#   make results-planted   a planted truth is found: 20 runs of about a minute
#   make results-ablation  kinds of attention and of graphs compared, one-shot made discrete: 30 runs of about 80 seconds
#   make results-one-shot  one-shot searches of the demo's data, and how far they agree: 3 of about three minutes
#   make results-long-tail losses and sampling for rare classes compared: 60 runs of about 20 seconds
#   make results-distillation a discrete network of half the width, taught and not: 3 seeds of about two minutes
#   make results-evolution guided and random evolution compared: 16 runs of 16 graphs; -j2 runs two at a time
#   make accelerator-programs  AssembleNet-50 and AssembleNet++-50 as programs for accelerators, in accelerator/
#   make accelerator  runs them on what JAX finds, within eight minutes, beside networks of torchvision
#   make test         lint and every test
#   make test-quick   lint and the tests that take seconds
#   make lint         ruff alone
#   make lock         requirements.txt anew from pyproject.toml
#   make build-files  the BUILD files anew from the imports
#   make bazel-check  Debian's Bazel loads and analyses every target, and runs the quick tests
#   make settings     docs/settings.md anew from the specs
#   make model-zoo    every network is timed, and docs/model_zoo.md written: about ten minutes
#   make tutorials    the tutorials' outputs anew, from a run of all of them: about four minutes
#   make docs         the documentation as a site, in site/; open site/index.html
#   make clean        removes what runs left
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: help install demo results results-planted results-ablation results-one-shot results-long-tail results-distillation results-evolution accelerator-programs accelerator test test-quick lint lock build-files bazel-check settings model-zoo tutorials docs clean

VENV := .venv
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FOOTAGE := .cache/footage/.fetched
SOURCES := official_vision tools tests
SEED := 0
RUN := demo/seed-$(SEED)
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3 python3.12 python3.13 python3.10; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
endif

help:
	@sed -n '/^[^#]/q; s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED)

# The stamp comes last, so that an interrupted installation is redone. The other mark tells that the
# first one was interrupted, perhaps in the middle of a package: then all is made from nothing.
# uv takes 24 seconds where pip takes 140; pip follows for who names an index in pip's configuration alone.
$(INSTALLED): requirements.txt pyproject.toml setup.py
	@"$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null || { echo >&2 "error: Python 3.10 to 3.13 is needed." \
		"Received: '$(PYTHON)'. Install Python 3.11 or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@if test -e $(VENV)/.installing || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		"$(PYTHON)" -m venv --clear $(VENV); fi
	@test -e $@ || touch $(VENV)/.installing
	@$(PIP) "$$(grep '^uv==' requirements.txt | cut -d' ' -f1)"
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --requirement requirements.txt || \
		$(PIP) --requirement requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installing && touch $@

$(FOOTAGE): tools/fetch_footage.py $(INSTALLED)
	$(BIN)/python tools/fetch_footage.py --output=$(@D) >/dev/null
	@touch $@

# Each step's result is a file: run again, make repeats only the steps whose result is missing.
demo: $(RUN)/evaluation.txt $(RUN)/prediction.txt
	@echo && cat $(RUN)/evaluation.txt && echo && cat $(RUN)/prediction.txt

demo/videos/annotations.csv: $(FOOTAGE)
	$(BIN)/python tools/make_demo_data.py --footage=$(dir $(FOOTAGE)) --output=$(@D)

demo/shards/validation/index.json: demo/videos/annotations.csv
	$(BIN)/python tools/prepare_data.py --gin_file=gin_configs/data/demo.gin --preview=demo/preview.png

$(RUN)/run/result.json: demo/shards/validation/index.json
	$(BIN)/python tools/train.py --gin_file=gin_configs/demo.gin \
		--gin_bindings='TrainSpec.model_dir = "$(RUN)/run"' \
		--gin_bindings='TrainSpec.seed = $(SEED)' --gin_bindings='train/DataSpec.seed = $(SEED)'

$(RUN)/evaluation.txt: $(RUN)/run/result.json
	$(BIN)/python tools/evaluate.py --model_dir=$(RUN)/run --blank_streams \
		--json=$(RUN)/evaluation.json >$@

$(RUN)/export/1/saved_model.pb: $(RUN)/run/result.json
	rm -rf $(RUN)/export
	$(BIN)/python tools/export.py --model_dir=$(RUN)/run --output=$(RUN)/export

# A separate process loads the exported file: nothing is left of training but that file.
$(RUN)/prediction.txt: $(RUN)/export/1/saved_model.pb
	$(BIN)/python tools/predict.py --model=$(RUN)/export --video=$(dir $(FOOTAGE))bikes.mp4 \
		--output_dir=$(RUN) --json=$(RUN)/prediction.json >$@

results/planted/videos/annotations.csv: $(FOOTAGE)
	$(BIN)/python tools/make_demo_data.py --kind=planted --footage=$(dir $(FOOTAGE)) --output=$(@D)

results/planted/shards/validation/index.json: results/planted/videos/annotations.csv
	$(BIN)/python tools/prepare_data.py --gin_file=gin_configs/data/planted.gin \
		--preview=results/planted/preview.png

results: results-planted results-ablation results-one-shot results-long-tail results-distillation results-evolution

# A study goes on where it was stopped, and trains only what is missing.
results-planted: results/planted/shards/validation/index.json
	$(BIN)/python tools/study.py --gin_file=gin_configs/studies/planted.gin \
		--variant='learned:' --variant='frozen: TrainSpec.frozen = ("peer_logits",)' \
		--expected_peer='0>6=2,5' --expected_peer='1>6=2,5' \
		--seeds=0,1,2,3,4,5,6,7,8,9 --output=results/planted/study

WITHOUT_OBJECTS := ModelSpec.architecture = "gin_configs/studies/table_1_without_objects.json"; \
	ModelSpec.width_multiplier = 0.126
TWO_STREAM := ModelSpec.architecture = "two_stream_r2plus1d_50"; ModelSpec.width_multiplier = 0.118
SLOWFAST := ModelSpec.architecture = "slowfast_50"; ModelSpec.width_multiplier = 0.098

# The widths make all networks cost the same, within 4 %, without attention.
results-ablation: results/planted/shards/validation/index.json
	$(BIN)/python tools/study.py --gin_file=gin_configs/studies/ablation.gin --seeds=0,1,2 \
		--variant='peer:' --variant='self: ModelSpec.gate = "self"' \
		--variant='static: ModelSpec.gate = "static"' --variant='none: ModelSpec.gate = "none"' \
		--variant='peer-without-objects: $(WITHOUT_OBJECTS)' \
		--variant='none-without-objects: $(WITHOUT_OBJECTS); ModelSpec.gate = "none"' \
		--variant='two-stream: $(TWO_STREAM); ModelSpec.gate = "none"' \
		--variant='slowfast: $(SLOWFAST); ModelSpec.gate = "none"' --output=results/ablation
	for seed in 0 1 2; do \
		$(BIN)/python tools/search.py --gin_file=gin_configs/studies/ablation.gin \
			--gin_bindings="SearchSpec.output = 'results/ablation-discrete/seed-$$seed'" \
			--gin_bindings="TrainSpec.seed = $$seed" --gin_bindings="train/DataSpec.seed = $$seed" || exit 1; \
	done
	$(BIN)/python tools/search.py $(foreach seed,0 1 2,--agreement=results/ablation-discrete/seed-$(seed))

results-one-shot: demo/shards/validation/index.json
	for seed in 0 1 2; do \
		$(BIN)/python tools/search.py --gin_file=gin_configs/search/one_shot_demo.gin \
			--gin_bindings="SearchSpec.output = 'results/one-shot/seed-$$seed'" \
			--gin_bindings="TrainSpec.seed = $$seed" --gin_bindings="train/DataSpec.seed = $$seed" || exit 1; \
	done
	$(BIN)/python tools/search.py $(foreach seed,0 1 2,--agreement=results/one-shot/seed-$(seed))

results/long_tail/videos/annotations.csv: $(FOOTAGE)
	$(BIN)/python tools/make_demo_data.py --kind=long_tail --footage=$(dir $(FOOTAGE)) --output=$(@D)

results/long_tail/shards/validation/index.json: results/long_tail/videos/annotations.csv
	$(BIN)/python tools/prepare_data.py --gin_file=gin_configs/data/long_tail.gin

BANDS = $(1)_head,$(1)_middle,$(1)_tail
LONG_TAIL = $(BIN)/python tools/study.py --gin_file=gin_configs/studies/long_tail.gin --seeds=0,1,2,3,4

# One label per clip, judged by the mean over classes; then the same clips as if they had several, judged by mAP.
results-long-tail: results/long_tail/shards/validation/index.json
	$(LONG_TAIL) --variant='plain:' --variant='inverse: LossSpec.class_weights = "inverse_frequency"' \
		--variant='effective: LossSpec.class_weights = "effective_number"; LossSpec.effective_number_beta = 0.95' \
		--variant='focal: LossSpec.positive_focus = 2.0' \
		--variant='adjusted: LossSpec.logit_adjustment = 1.0' \
		--variant='square-root: train/DataSpec.class_sampling = "square_root"' \
		--variant='balanced: train/DataSpec.class_sampling = "balanced"' \
		--figures=$(call BANDS,mean_class_accuracy),top_1 --output=results/long_tail/study
	$(LONG_TAIL) --gin_bindings='ModelSpec.activation = "sigmoid"' --gin_bindings='TrainSpec.best_metric = "mAP"' \
		--variant='plain:' --variant='inverse: LossSpec.class_weights = "inverse_frequency"' \
		--variant='focal: LossSpec.positive_focus = 2.0; LossSpec.negative_focus = 2.0' \
		--variant='asymmetric: LossSpec.positive_focus = 1.0; LossSpec.negative_focus = 4.0; LossSpec.negative_margin = 0.05' \
		--variant='balanced: train/DataSpec.class_sampling = "balanced"' \
		--figures=$(call BANDS,mAP),top_1 --output=results/long_tail/several_labels

DISTILLATION = $(BIN)/python tools/search.py --gin_file=gin_configs/studies/distillation.gin
# Both retrain from copies of one search.
results-distillation: results/planted/shards/validation/index.json
	for seed in 0 1 2; do \
		alone=results/distillation/alone-$$seed taught=results/distillation/taught-$$seed; \
		seeds=(--gin_bindings="TrainSpec.seed = $$seed" --gin_bindings="train/DataSpec.seed = $$seed"); \
		for stage in search derive; do \
			$(DISTILLATION) "$${seeds[@]}" --gin_bindings="SearchSpec.output = '$$alone'" --stage=$$stage || exit 1; \
		done; \
		test -d $$taught || { rm -rf $$taught.part; cp -r $$alone $$taught.part; rm -rf $$taught.part/retrain; mv $$taught.part $$taught; }; \
		$(DISTILLATION) "$${seeds[@]}" --gin_bindings="SearchSpec.output = '$$alone'" --stage=retrain || exit 1; \
		$(DISTILLATION) "$${seeds[@]}" --gin_bindings="SearchSpec.output = '$$taught'" \
			--gin_bindings='SearchSpec.retrain_teacher = True' --stage=retrain || exit 1; \
	done

EVOLUTION_SEEDS := 0 1 2 3 4 5 6 7
EVOLUTIONS := $(foreach seed,$(EVOLUTION_SEEDS),results/evolution/guided-$(seed) results/evolution/random-$(seed))

results-evolution: $(EVOLUTIONS:%=%/front.png)
	$(BIN)/python tools/search.py $(EVOLUTIONS:%=--compare=%) --picture=results/evolution/comparison.png

# The picture is what an evolution ends with. With make -j2 two go on at a time; the seed is what stands behind the hyphen.
results/evolution/%/front.png: results/planted/shards/validation/index.json
	$(BIN)/python tools/search.py --gin_file=gin_configs/studies/evolution.gin \
		--gin_bindings="SearchSpec.output = '$(@D)'" \
		--gin_bindings="EvolutionSpec.guided = $(if $(filter guided-%,$*),True,False)" \
		--gin_bindings="EvolutionSpec.seed = $(lastword $(subst -, ,$*))" \
		--gin_bindings="TrainSpec.seed = $(lastword $(subst -, ,$*))" \
		--gin_bindings="train/DataSpec.seed = $(lastword $(subst -, ,$*))"

# 16 frames of 224 x 224. The check is of a network that is small enough to be written with its weights.
PROGRAM := --what=program --gin_bindings='DataSpec.frames = 16'
LARGE := --gin_bindings='DataSpec.size = 224' --batch_sizes=8,32 --precisions=tf32,bfloat16
PROGRAMS := accelerator/check accelerator/assemblenet_plus_plus_50 accelerator/assemblenet_50
ACCELERATOR_PYTHON ?= $(BIN)/python

accelerator-programs: $(PROGRAMS)

accelerator/check: $(INSTALLED)
	test -d $@ || $(BIN)/python tools/benchmark.py $(PROGRAM) --output=$@ --precisions=float32,tf32,bfloat16 \
		--gin_bindings='ModelSpec.architecture = "gin_configs/studies/planted_peers.json"' \
		--gin_bindings='ModelSpec.dropout_rate = 0.0' --gin_bindings='DataSpec.size = 32' --batch_sizes=2

accelerator/assemblenet%: $(INSTALLED)
	test -d $@ || $(BIN)/python tools/benchmark.py $(PROGRAM) $(LARGE) --output=$@ \
		--gin_file=gin_configs/models/$(@F).gin

# Another machine needs jax, numpy, tools/ and accelerator/: python3 -m tools.accelerator accelerator/*/
accelerator: $(PROGRAMS)
	$(ACCELERATOR_PYTHON) -m tools.accelerator $(PROGRAMS) --limit_s=480 --json=accelerator/results.json

lint: $(INSTALLED)
	$(BIN)/python -m ruff check $(SOURCES)
	$(BIN)/python -m ruff format --check $(SOURCES)

# Three processes for two cores: a quarter of the time tests wait for children and timers. A file's tests share fixtures. tests/conftest.py
# puts the slow files first, so that all end at about the same time.
PYTEST := $(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

test: lint $(FOOTAGE)
	$(PYTEST)

# TESTS="tests/api tests/metrics" runs these alone.
test-quick: lint $(FOOTAGE)
	$(PYTEST) -m "not slow" $(TESTS)

lock: $(INSTALLED)
	$(BIN)/python -m uv pip compile pyproject.toml --quiet --extra all --extra dev --universal \
		--python-version 3.10 --no-emit-index-url --no-emit-find-links --annotation-style line \
		--custom-compile-command "make lock" --output-file requirements.txt

build-files: $(INSTALLED)
	$(BIN)/python tools/update_build.py

bazel-check: $(INSTALLED)
	$(BIN)/python tools/check_bazel.py

settings: $(INSTALLED)
	$(BIN)/python tools/config.py show --output=docs/settings.md

ZOO := $(wildcard gin_configs/models/*.gin)

model-zoo: $(INSTALLED)
	$(BIN)/python tools/benchmark.py --what=forward --rounds=5 --json=docs/model_zoo.json \
		--gin_file=$(firstword $(ZOO)) $(patsubst %,--compare=%,$(wordlist 2,$(words $(ZOO)),$(ZOO))) \
		--gin_bindings='validation/DataSpec.frames = 32' --gin_bindings='validation/DataSpec.size = 224' \
		--gin_bindings='validation/DataSpec.batch_size = 1' --gin_bindings='ModelSpec.num_classes = 157' \
		--gin_bindings='ModelSpec.num_object_classes = 151'
	$(BIN)/python tools/model_zoo.py

tutorials: $(FOOTAGE)
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tools/tutorials.py

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf accelerator demo results site build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
