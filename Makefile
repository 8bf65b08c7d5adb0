# Every target makes the environment it needs in .venv, once, and again when a lock file or pyproject.toml changes.
# Options: PYTHON=python3.12   make demo ONCE=1   make run ARGS="--port 9000"   make test ARGS="-k retry"
#          make test WORKERS=2

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
WORKERS ?= 3
VENV := .venv
BIN  := $(VENV)/bin
PY   := $(BIN)/python
RUN  := $(VENV)/run.stamp
DEV  := $(VENV)/dev.stamp
ASSETS := hatch_build.py $(shell find frontend -type f -not -path 'frontend/node_modules/*' -not -path 'frontend/tests/*')

# Every server that a test starts would compile 300 files anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo run test check format bench fuzz soak kill-test failures docs screenshots assets lock clean

help:
	@echo "make demo [ONCE=1]   see events delivered to a local receiver"
	@echo "make run             start the server"
	@echo "make test            every test, with branch coverage"
	@echo "make check           format, lint, types, layers"
	@echo "make bench           the numbers of docs/performance.md"
	@echo "make fuzz | soak | kill-test | failures   slow proofs"
	@echo "make screenshots     every page of the console, in build/screenshots"
	@echo "make assets          the console's scripts and styles, which every other target builds too when they have changed"
	@echo "make format | docs | lock | clean"

demo: $(RUN)
	@$(BIN)/tracklayer demo $(if $(ONCE),--once) $(ARGS)

run: $(RUN)
	@$(BIN)/tracklayer serve $(ARGS)

# The whole suite runs as three processes, for the longest tests wait most of the time (tests/conftest.py says which
# takes what); what ARGS choose runs in one.
test: $(DEV)
	@$(PY) -m pytest --cov --cov-report=term $(or $(ARGS),-n $(WORKERS) --dist loadfile --no-loadscope-reorder)

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV)
	@$(PY) -m bench $(ARGS)

fuzz: $(DEV)
	@$(PY) -m tests.template.fuzz $(or $(ARGS),200000)
	@TRACKLAYER_TEST_REQUESTS=50 $(PY) -m pytest -m hypothesis --hypothesis-profile=fuzz --timeout=0
	@TRACKLAYER_TEST_REQUESTS=50 $(PY) -m pytest tests/web/test_openapi.py --timeout=0

soak: $(DEV)
	@$(PY) -m tests.soak $(ARGS)

kill-test: $(DEV)
	@$(PY) -m tests.kill_test $(ARGS)

failures: $(DEV)
	@TRACKLAYER_TEST_OUTAGE=$(or $(OUTAGE),30) $(PY) -m pytest tests/system/many -s $(ARGS)

docs: $(DEV)
	$(PY) -m tests.settings_page
	$(PY) -m tests.event_page

screenshots: $(DEV)
	@$(PY) -m tests.browser.screenshots $(ARGS)

# An installation builds the console's assets where their sources have changed: hatch_build.py.
INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .

assets: | $(PY)
	@$(INSTALL)

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: $(DEV)
	$(COMPILE) --output-file requirements/run.lock
	$(COMPILE) --extra dev --constraint requirements/run.lock --output-file requirements/dev.lock
	@! grep -nE '://|file:|index-url|find-links' requirements/*.lock || { echo "A lock file names an address."; exit 1; }

clean:
	rm -rf frontend/node_modules src/tracklayer/web/console/static
	rm -rf $(VENV) dist build .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --no-deps: a lock file is complete, and pip would look for what an extra (coverage[toml]) may mean beyond it.
$(VENV)/%.stamp: requirements/%.lock pyproject.toml $(ASSETS) | $(PY)
	@echo "Installing requirements/$*.lock into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/$*.lock
	@$(INSTALL)
	@touch $@

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "TrackLayer needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make a virtual environment: its venv module is missing. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
