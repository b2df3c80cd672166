# make run [RECIPE=demo] [SET="training.model.dim=32 seed=7"]   one recipe, as a real Airflow DAG run
# make up [AIRFLOW_PORT=8080] [MLFLOW_PORT=5000]                Airflow and the MLflow UI, until Ctrl-C
# make test [WORKERS=2]                                         lint, types, layers, tests
# make images [DOCKER=docker] [TAG=0.1.0] [IMAGES="data airflow"] build the container images, recloop-<image>:<tag>
# make sbom [TAG=0.1.0]                                         what the images hold, as CycloneDX: build/sbom/
# make lock                                                     resolve anew what the images hold
# make kubeflow                                                 an environment of its own with kfp: .venv-kubeflow
# make clean                                                    remove the environment, Airflow's home, caches and kernels
#
# A fresh machine needs python3.11 and make; all else goes into $(VENV).

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV ?= .venv
RECIPE ?= demo
SET ?=
AIRFLOW_PORT ?= 8080
MLFLOW_PORT ?= 5000
PYTEST_ARGS ?=
WORKERS ?= 2
DOCKER ?= docker
IMAGES ?= data training airflow mlflow
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
TAG ?= $(VERSION)
BUILD_ARGS ?=

BIN = $(VENV)/bin
KUBEFLOW = $(VENV)-kubeflow
export PYTHONUNBUFFERED = 1

.PHONY: help run up test images sbom lock kubeflow clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: recloop needs Python 3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.3'  # older ones resolve for ten minutes

$(VENV)/.installed-all: pyproject.toml | $(BIN)/python
	@echo 'installing recloop into $(VENV); the first time this takes a few minutes'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo 'installing recloop and its tools into $(VENV); the first time this takes a few minutes'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.installed-all $@

$(KUBEFLOW)/.installed: pyproject.toml
	@echo 'installing kfp into $(KUBEFLOW)'
	@$(PYTHON) -m venv $(KUBEFLOW)
	@$(KUBEFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.3'
	@$(KUBEFLOW)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[kubeflow]' 'pytest>=9.2,<10'
	@touch $@

kubeflow: $(KUBEFLOW)/.installed

run: $(VENV)/.installed-all
	@$(BIN)/python -m dags.run '$(RECIPE)' $(foreach override,$(SET),--set '$(override)')

up: $(VENV)/.installed-all
	@$(BIN)/python -m dags.up --airflow-port $(AIRFLOW_PORT) --mlflow-port $(MLFLOW_PORT)

test: $(VENV)/.installed-dev $(KUBEFLOW)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS) --numprocesses $(WORKERS) --dist loadfile $(PARALLEL) || $(NONE_CHOSEN)
	$(TESTS) $(PARALLEL:%=--ignore %) || $(NONE_CHOSEN)
	$(KUBEFLOW)/bin/pytest tests/pipelines

PARALLEL = tests/unit tests/conformance  # they start no orchestrator and no containers, so they run side by side
NONE_CHOSEN = [ $$? -eq 5 ]  # by PYTEST_ARGS, such as -k
TESTS = RECLOOP_KUBEFLOW_PYTHON=$(abspath $(KUBEFLOW)/bin/python) $(BIN)/pytest $(PYTEST_ARGS)

# What an image is built from is the working tree: a revision that was changed since says so.
REVISION = $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown)

images: $(IMAGES:%=image-%)

image-data image-training: image-%:
	$(DOCKER) build $(BUILD) --target $* --file containers/stages/Dockerfile --tag recloop-$*:$(TAG) .

image-mlflow:
	$(DOCKER) build $(BUILD) --file containers/mlflow/Dockerfile --tag recloop-mlflow:$(TAG) .

image-airflow:
	$(DOCKER) build $(BUILD) --tag recloop-airflow:$(TAG) .

BUILD = --pull=false --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) $(BUILD_ARGS)

sbom: $(VENV)/.installed-dev
	$(BIN)/python containers/sbom.py --docker $(DOCKER) --output build/sbom $(IMAGES:%=recloop-%:$(TAG))

lock: $(VENV)/.installed-dev
	$(BIN)/python containers/lock.py

clean:
	rm -rf .venv .venv-kubeflow .airflow .kubeflow .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find components -name '*.nb[ic]' -delete
