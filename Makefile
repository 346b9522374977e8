# make demo       the main job on a small rendered world
# make test       every command, page and parser once: under 8 minutes on two cores
# make test-all   what `make test` leaves out: kills at any moment, PostgreSQL for everything, long simulations
# make lint       ruff, mypy and, where Node.js is there, the types of the labeler's JavaScript
# make docs       the documentation as a site
# All make their own .venv and need only git, make and python3-venv (3.11+).
PYTHON ?= python3
TWO_AT_ONCE = -n 2 --dist loadfile  # by file: a module's fixtures are made once

.PHONY: demo test test-all lint lint-js docs bench clean

.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.stamp
	.venv/bin/plusmv demo

test: .venv/.stamp
	.venv/bin/python -m pytest -m "not slow" $(TWO_AT_ONCE)

test-all: .venv/.stamp
	.venv/bin/python -m pytest -m slow $(TWO_AT_ONCE)

lint: .venv/.stamp lint-js
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

lint-js:
	if command -v npx >/dev/null && [ -f labeler_ui/assets/tsconfig.json ]; \
	then npx --yes -p typescript@5.9.3 tsc -p labeler_ui/assets; \
	else echo "no npx or no tsconfig.json: JavaScript is not checked"; fi

.venv/.docs-stamp: .venv/.stamp
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

docs: .venv/.docs-stamp
	.venv/bin/mkdocs build --strict

bench: .venv/.stamp
	set -e; for script in benchmarks/*.py; do .venv/bin/python $$script; done

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache plusmv-data site
