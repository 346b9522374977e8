# make demo   the main job on a small rendered world      make test   the tests
# Both make their own .venv and need only git, make and python3-venv (3.11+).
PYTHON ?= python3

.PHONY: demo test lint bench clean

.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.stamp
	.venv/bin/plusmv demo

test: .venv/.stamp
	.venv/bin/python -m pytest -n 2 --dist loadfile

lint: .venv/.stamp
	.venv/bin/ruff check .

bench: .venv/.stamp
	set -e; for script in benchmarks/*.py; do .venv/bin/python $$script; done

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache plusmv-data
