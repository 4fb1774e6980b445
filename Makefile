# Every target sets itself up from nothing: Python ≥ 3.11 and the package registries are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard translations/*/LC_MESSAGES/messages.po))

# A process that may not keep its bytecode compiles every module anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo run test check audit bench soak faults fuzz screenshots vendor requirements translations clean

## The whole app on the simulated exchange: no keys, no network
demo: $(VENV)/run.stamp $(CATALOGUES)
	@$(BIN)/python -m demo

## The same on live prices
run: $(VENV)/run.stamp $(CATALOGUES)
	@$(BIN)/flask --app app serve

## All tests, with a real browser
test: $(VENV)/dev.stamp $(CATALOGUES)
	@scripts/browser.sh $(BIN)/playwright
	@scripts/redis.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile

## Lint, types, floors, the browser's modules
check: $(VENV)/dev.stamp node_modules/stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit -q -c pyproject.toml -r .
	$(BIN)/mypy
	$(BIN)/python scripts/check_imports.py
	npm run --silent check
	$(BIN)/python -m pytest -q tests/test_vendored_assets.py

## Holes in our code, and known ones in what it stands on; the latter need PyPI and npm themselves
audit: $(VENV)/dev.stamp node_modules/stamp
	$(BIN)/bandit -q -c pyproject.toml -r .
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.txt
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-dev.txt
	npm audit

## Speed beside backtesting.py and vectorbt; writes docs/performance.md
bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.kline_tiers

## Kills of processes at work, every fault of the sources; LONG=1 is the full measure, into docs/faults.md
faults: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.faults $(if $(LONG),--long)

## Eight hours of streams in five minutes, with every trouble they can have
soak: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.stream_soak

## Damaged answers of LLMs, generated requests, random books; LONG=1 is the full measure
fuzz: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.fuzz $(if $(LONG),--long)

## Pictures of every page into docs/screenshots
screenshots: $(VENV)/dev.stamp $(CATALOGUES)
	@scripts/browser.sh $(BIN)/playwright
	$(BIN)/python -m scripts.screenshots

## Copy the pinned browser libraries into static/vendor
vendor: node_modules/stamp
	npm run --silent vendor

## Pin the requirements anew
requirements: $(VENV)/dev.stamp
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt

## Find new texts for translation
translations: $(VENV)/dev.stamp
	$(BIN)/python -m babel.messages.frontend --quiet extract -F babel.cfg --no-default-keywords -k _ -k t --no-location --sort-output -o messages.pot .
	$(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete -i messages.pot -d translations
	rm messages.pot

clean:
	rm -rf $(VENV) node_modules .venv-bench $(CATALOGUES)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed.")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt | $(VENV)/bin/python
	@echo "Installing what the app needs (once) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt | $(VENV)/bin/python
	@echo "Installing what the tests need (once) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/run.stamp

%.mo: %.po
	$(BIN)/pybabel --quiet compile -i $< -o $@ -l $(notdir $(patsubst %/LC_MESSAGES/,%,$(dir $@)))

node_modules/stamp: package-lock.json
	@command -v npm > /dev/null || { echo "make check needs Node.js (npm)."; exit 1; }
	npm ci --silent --no-audit --no-fund
	@touch $@
