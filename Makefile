# Two commands do all: `make demo` (the main job on real data and a real model), `make test` (everything that can run here).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP_OPTIONS ?=
SHARED ?= $(or $(RML_LAMA_SHARED),../shared/data)
DEMO_DIR ?= demo

.PHONY: demo test test-fast lint types bench compat clean facts .links

demo: $(VENV)/demo.stamp
	sh benchmarks/demo.sh $(BIN) $(DEMO_DIR)

test: $(VENV)/dev.stamp compat lint types
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -m "not model and not shared and not browser" $(PYTEST_OPTIONS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy and doctest see the installed shape: a tree of links, since builders, validation and eval live beside rml_lama.
types: $(VENV)/dev.stamp .links
	cd .links && MYPYPATH=. ../$(BIN)/mypy --config-file ../pyproject.toml -p rml_lama

.links:
	rm -rf .links && mkdir -p .links/rml_lama
	for path in rml_lama/*; do ln -s "../../$$path" .links/rml_lama/; done
	for name in builders validation eval; do ln -s "../../$$name" .links/rml_lama/$$name; done

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/build.py --mlama $(SHARED)/mlama1.1.zip --labels $(SHARED)/labels

# Environments with older versions of datasets, in which a build must load alike.
compat: .compat/2.21.0.stamp .compat/3.6.0.stamp

.compat/%.stamp: constraints-compat.txt
	rm -rf .compat/$* && $(PYTHON) -m venv .compat/$*
	.compat/$*/bin/pip install $(PIP_OPTIONS) -q -c constraints-compat.txt "datasets==$*" pydantic pyyaml
	touch $@

facts: $(VENV)/dev.stamp
	rm -rf .cldr && mkdir .cldr && cd .cldr && npm pack cldr-core@48.2.0 --silent && tar xzf cldr-core-*.tgz
	$(BIN)/python -m rml_lama.builders.make_open_facts --cldr-core .cldr/package --mlama $(SHARED)/mlama1.1.zip --out builders/facts

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(PIP_OPTIONS) -q --upgrade pip

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install $(PIP_OPTIONS) -q -c constraints.txt torch -e ".[demo]"
	touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install $(PIP_OPTIONS) -q -c constraints.txt torch -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .compat .links .cldr .mypy_cache .ruff_cache .pytest_cache build dist demo *.egg-info
