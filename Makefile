# The developer commands: run, demo, observe, test, dashboards, lock, bench, phoenix, clean. `make run` and `make test` do all of their own set-up.

# Where an image forbids it, every test worker and every process that a test starts would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONFIG ?= config.example.yaml
ADMIN ?= 127.0.0.1:8788
OBSERVE ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
LOCKED := $(PIP) install --require-hashes --requirement
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
CLIENTS := .cache/clients/.installed .cache/frameworks/.installed $(if $(shell command -v npm),.cache/node/.installed)
SOURCES := proxy tests benchmarks dashboards deploy $(wildcard evaluators)

.PHONY: run demo test lint observe dashboards lock bench phoenix clean

run: $(VENV)/.installed
	@exec $(BIN)/weighbridge serve --config $(CONFIG)

demo: $(VENV)/.installed
	@$(BIN)/weighbridge demo --config $(CONFIG)

# Prometheus and Alertmanager from Debian's packages against a running proxy; OBSERVE takes further options of deploy/observe.py.
observe: $(VENV)/.installed
	@exec $(BIN)/python deploy/observe.py --admin $(ADMIN) $(OBSERVE)

# Four workers on any machine: while some tests wait for processes, others compute.
test: lint
	@$(MAKE) --no-print-directory -j3 $(CLIENTS)
	@$(BIN)/python -m pytest --numprocesses=4 --dist=worksteal

lint: $(VENV)/.tested
	@$(BIN)/ruff check $(SOURCES)

# Writes dashboards/grafana/*.json anew from the code beside it.
dashboards: $(VENV)/.tested
	@$(BIN)/python -m dashboards

bench: $(VENV)/.installed
	@set -e; for each in benchmarks/*.py; do echo "== $$each"; $(BIN)/python $$each; done

# Somebody else's receiver of our spans; too large to be a part of the tests.
phoenix: .cache/phoenix/.installed
	@PYTHONPATH=. $(BIN)/python tests/phoenix/read_spans.py .cache/phoenix

# Resolves every requirement anew; `--upgrade` takes the newest versions that the .in files allow.
lock: $(VENV)/.locking
	@cd requirements && for each in build run bedrock redis test lock clients frameworks; do ../$(COMPILE) --upgrade --output-file $$each.txt $$each.in || exit 1; done

clean:
	@rm -rf $(VENV) .cache build dist .pytest_cache .ruff_cache .hypothesis weighbridge.egg-info
	@find proxy tests benchmarks dashboards deploy -name __pycache__ -type d -prune -exec rm -rf {} +

PHOENIX := arize-phoenix==20.26.1
.cache/phoenix/.installed: | $(VENV)/.installed
	@echo "Installing $(PHOENIX) ..."
	@"$(PYTHON)" -m venv --clear .cache/phoenix
	@.cache/phoenix/bin/python -m pip -qq --disable-pip-version-check install --no-compile $(PHOENIX)
	@touch $@

# Each stamp is younger than what it was made from, so a second run installs nothing.
$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Weighbridge needs Python 3.11 or newer, and there is no python3 on the PATH." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit("Weighbridge needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which one to use: make PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@echo "Making the local environment $(VENV) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)

$(VENV)/.installed: requirements/build.txt requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the pinned dependencies ..."
	@$(LOCKED) requirements/build.txt
	@$(LOCKED) requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.tested: requirements/test.txt $(VENV)/.installed
	@echo "Installing what the tests need ..."
	@$(LOCKED) requirements/test.txt
	@touch $@

$(VENV)/.locking: requirements/lock.txt | $(VENV)/bin/python
	@$(LOCKED) requirements/lock.txt
	@touch $@

# The real clients that tests/clients/ runs: two Python environments and a folder of Node packages, apart from all else.
.cache/%/.installed: requirements/%.txt
	@echo "Installing the real clients of requirements/$*.txt ..."
	@"$(PYTHON)" -m venv --clear .cache/$*
	@.cache/$*/bin/python -m pip -qq --disable-pip-version-check install --no-compile --require-hashes --requirement $<
	@touch $@

.cache/node/.installed: tests/clients/node/package.json tests/clients/node/package-lock.json tests/clients/node/.npmrc
	@echo "Installing the real clients of tests/clients/node ..."
	@mkdir -p .cache/node && cp $^ .cache/node/
	@cd .cache/node && npm ci --ignore-scripts --loglevel=error >/dev/null && node node_modules/@anthropic-ai/claude-code/install.cjs >/dev/null
	@touch $@
