# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
BIN := .venv/bin
DONE := .venv/.installed

# The tests of attacks compare with it. It asks for requests 2.25, which moto and selenium do not take, and needs none of
# it for that: hence no extra, and no dependencies. Without it those tests are skipped.
ORACLE := torchattacks==3.5.1

# What tests of the page ask whether a screen reader and a keyboard can use it. Without npm those tests are skipped.
AXE := axe-core@4.14.1

.PHONY: quickstart test test-published test-all test-long coverage terminal check fix bench gpu-check docs chaos clean

quickstart: $(DONE)  ## a whole small campaign on real data: tune, confirm, rank
	$(BIN)/regarena run quickstart

PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal --durations 10

test: $(DONE)  ## the quick tests, the examples in docstrings included
	$(PYTEST) -m "not slow"

test-published: $(DONE)  ## all tests of README and of the published results: minutes
	$(PYTEST) tests/test_readme.py tests/test_gallery.py

test-all: $(DONE)  ## the slow tests as well, but those that take minutes each
	$(PYTEST) -m "not long"

test-long: $(DONE)  ## campaigns on several Rays and clusters, one after the other: half an hour
	$(PYTEST) -m long

coverage: $(DONE)  ## which lines of code the quick tests leave out
	$(PYTEST) -m "not slow" --cov --cov-report term

# A campaign on a pseudo-terminal of the standard library: what only a terminal breaks, no pipe shows.
IN_TERMINAL := import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
terminal: $(DONE)  ## a small campaign as if typed into a terminal
	$(BIN)/python -c "$(IN_TERMINAL)" $(BIN)/regarena run quickstart --only digits-200-mlp,none,dropout \
		--tune-trials 2 --seeds 2 --results "$$(mktemp -d)/results"

check: $(DONE)  ## format, lint, types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(DONE)  ## format, and mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DONE)  ## speed as ratios, each pair interleaved in one run
	$(BIN)/python -m benchmarks

gpu-check: $(DONE)  ## what only a GPU shows, beside what is expected; without one a rehearsal
	$(BIN)/python -m benchmarks gpu

docs: $(DONE)  ## the documentation, as pages in build/docs; warnings are errors
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

SEED ?= 0
chaos: $(DONE)  ## campaigns that are disturbed at random, a quarter of an hour; SEED=1 for other draws
	PYTHONPATH=tests/harness $(BIN)/python tests/chaos --seed $(SEED)

clean:  ## all that the other targets made, but results
	rm -rf .venv .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DONE): pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(ORACLE)
	if command -v npm >/dev/null; then npm install --silent --no-save --prefix .venv $(AXE) || true; fi
	touch $(DONE)
