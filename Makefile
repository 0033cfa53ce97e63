# Every target makes what it needs. `make run` and `make test` are all a new machine needs.
# Asked by running them: a version manager's stand-in is on the path even where that version is not chosen.
where = $(shell for name in $(1); do $$name -c 'import sys; print(sys.executable)' 2> /dev/null && break; done)
ifeq ($(OS),Windows_NT)
PYTHON ?= python
SCRIPTS := Scripts
else
PYTHON ?= $(call where,python3.11 python3)
SCRIPTS := bin
endif
PYTHON312 ?= $(call where,python3.12 python3.13)
BIN := .venv/$(SCRIPTS)
# In two processes, a file of tests in one of them: most tests wait for a kernel, a browser or a server, or use one core.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# What `make run` says while it makes the environment, so that one knows what one waits for.
run: afterwards := Then the $(words $(wildcard notebooks/[0-9w][0-9]_*.ipynb)) notebooks are executed, a minute or two each.

.PHONY: run check test lab site colab claims bench bench-quick clean

run: .venv/ready  ## execute all notebooks, render them, write build/index.html
	$(BIN)/fedlearn run

check: .venv/ready  ## style, types and the quick tests, in two minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -m "not notebook and not browser and not slow" \
		tests/core tests/tools tests/lessons tests/environment

test: .venv/ready  ## style, types and the whole test suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

lab: .venv/ready  ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

colab: .venv/ready  ## write build/colab, notebooks for Google Colab that need no other file
	$(BIN)/fedlearn colab

claims: .venv/ready  ## run what the notebooks claim again, other seeds and settings, and write docs/claims.md
	$(BIN)/fedlearn claims

site: .venv/ready  ## run what changed, and build the static site in build/site
	$(BIN)/python docs/make_site.py

bench: .venv-bench/ready .venv-blazefl/ready  ## measure speed and memory against peers; needs FEDLEARN_DATA
	.venv-bench/bin/python benchmarks/run.py

bench-quick: .venv-bench/ready .venv-blazefl/ready  ## the same with small sizes, results in build/bench
	.venv-bench/bin/python benchmarks/run.py --quick --output build/bench

clean:  ## remove everything that the targets above made
	rm -rf .venv .venv-bench .venv-blazefl build results notebooks/results .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The marker is newer than what it was made from, so a change of the pins makes the environment anew.
.venv/ready: requirements.txt
.venv-bench/ready: benchmarks/requirements.txt
.venv/ready .venv-bench/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the environment in $(@D): some minutes, the first time only, since PyTorch is large. $(afterwards)"
	$(PYTHON) -m venv $(@D)
	$(@D)/$(SCRIPTS)/python -m pip install --quiet --requirement $(filter %requirements.txt,$^) --editable .
	@touch $@

# BlazeFL wants a newer Python; where there is none, the benchmark goes without it and says so.
.venv-blazefl/ready: benchmarks/requirements-blazefl.txt
	@mkdir -p $(@D)
	if [ -n "$(PYTHON312)" ]; then $(PYTHON312) -m venv $(@D) && \
		$(@D)/bin/python -m pip install --quiet --requirement $<; fi
	@touch $@
