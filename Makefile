# Two commands for a fresh machine: `make run` makes the study, `make test` the checks.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# Steps are commands of the environment, whether or not it is activated.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-benchmarks test-slurm install lint lock clean

run: $(INSTALLED)
	snakemake --cores all --resources gpu=1

test: $(INSTALLED) lint
	pytest --ignore=tests/slurm -m "not long"

# Whether the benchmarks still run; their figures are not looked at.
test-benchmarks: $(INSTALLED)
	pytest --dist=load tests/test_benchmarks.py

# Starts a Slurm of one node on this machine; skipped, with the reason, where it cannot.
test-slurm: $(INSTALLED)
	pytest -n 0 tests/slurm $(CHOSEN)

install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"RIGSA needs Python 3.11 or newer, and $(PYTHON) is {v[0]}.{v[1]}; try: make PYTHON=python3.12 install")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

# Pins every dependency anew; environment.yml takes the direct ones from it (tests/test_dependencies.py).
lock:
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet --disable-pip-version-check -e '.[test]' setuptools wheel
	$(VENV)-lock/bin/pip freeze --all --exclude-editable --exclude pip | sed 's/+[a-z0-9.]*$$//' > requirements.lock
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .snakemake
