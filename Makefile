# Each target sets up what it needs; a second run finds it done. Needed: python3 (3.11 or newer) with venv, and make.
PYTHON ?= python3
VENV ?= .venv
SEKMET_VENV ?= .venv-sekmet
GNUHEALTH_VENV ?= .venv-gnuhealth
TOOLS_VENV ?= .venv-tools
MEDPLUM_HOME ?= .cache/medplum
export SEKMET_VENV GNUHEALTH_VENV MEDPLUM_HOME

IN := $(VENV)/bin/python
NEW_PLUGIN := gateway/new_plugin/template
PIP_FLAGS := --quiet --disable-pip-version-check
BENCHES := $(patsubst bench/%.py,bench.%,$(filter-out bench/__%.py,$(wildcard bench/*.py)))

# How long each account's part of the fault matrix may take, in seconds, if not all of it is tried; and how many histories
# are played.
FAULTS_S ?= $(if $(BOUND),1.5,inf)
RUNS ?= $(if $(BOUND),60,1000)
export FAULTS_S RUNS

.PHONY: run test faults security lint bench live locks sbom audit drill soak conformance clean

# A demonstration; heeds PORT and STATE_DIR.
run: $(VENV)/run.stamp
	$(IN) -m gateway serve --demo

# With the bytecode kept: to make it anew takes each worker as long as to collect all tests.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/dev.stamp
	$(IN) -m pytest -n 4 --dist worksteal --ignore tests/live

lint: $(VENV)/dev.stamp
	$(IN) -m ruff check .
	$(IN) -m ruff format --check .
	$(IN) -m mypy
	MYPYPATH=$(NEW_PLUGIN)/src:$(NEW_PLUGIN)/tests $(IN) -m mypy --config-file= --strict --explicit-package-bases \
		$(NEW_PLUGIN)/src/emr_acme $(NEW_PLUGIN)/tests
	$(VENV)/bin/lint-imports

bench: $(VENV)/dev.stamp
	for bench in $(BENCHES); do $(IN) -m $$bench || exit 1; done

# The gateway is killed at every boundary that it crosses, and started again; and answers to its writes are lost. BOUND=n: n
# of these at most for each scenario on each EMR, and of each vendor one scenario, another one for another SEED. And the
# whole of what `make test` tries a part of: the matrix, kills, and fuzzing; and histories, the same for the same SEED. The
# gateways that are broken on purpose, and a recovery that is killed before a vendor, are tried only where nothing is bounded.
BOUND ?=
faults: $(VENV)/dev.stamp
	BOUND=$(BOUND) PYTHONHASHSEED=0 $(IN) -m pytest -n 2 -m faults \
		$(if $(BOUND),--deselect tests/histories/test_mutants.py --deselect tests/faults/test_vendors_recover.py) \
		tests/faults tests/e2e tests/test_fault_matrix.py tests/histories

# Attacked by clients and by EMRs, and searched for what must never be told; BOUND=1: a part of it, in about a minute.
security: $(VENV)/dev.stamp
	BOUND=$(BOUND) $(IN) -m pytest -n 2 -m 'not live and not faults' tests/security tests/audit

# Against real servers, on loopback; needs Node.js 20 and npm, too.
live: $(VENV)/dev.stamp $(SEKMET_VENV)/stamp $(GNUHEALTH_VENV)/stamp $(MEDPLUM_HOME)/stamp
	$(IN) -m pytest -n 2 --dist loadgroup -m live tests/live

# Solve the dependencies anew and write the locks; a version that is in a lock stays as long as it fits.
COMPILE := $(TOOLS_VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
locks: $(TOOLS_VENV)/stamp
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra otel -c requirements.lock -o requirements-otel.lock
	$(COMPILE) pyproject.toml --extra otel --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group build -c requirements.lock -o requirements-build.lock
	$(COMPILE) --group tools -c requirements-dev.lock -o requirements-tools.lock

# What is in an installation, as CycloneDX: everything that its lock names, with versions, hashes and what needs what.
sbom: $(VENV)/dev.stamp
	mkdir -p dist
	$(IN) -m supply.sbom requirements.lock > dist/sbom.cdx.json
	$(IN) -m supply.sbom requirements-otel.lock > dist/sbom-otel.cdx.json

# Known vulnerabilities in what the locks name, as an outside service knows them. It fails with 1 where there are any, and
# with 3 where that service can't be asked: then nothing is known.
audit: $(TOOLS_VENV)/stamp $(VENV)/dev.stamp
	$(IN) -m supply.audit $(TOOLS_VENV)/bin/pip-audit requirements-otel.lock requirements-build.lock

# What docs/deploy.md says, done: the image by the Dockerfile's own steps (that needs no container engine), a back-up and its
# restoration, an update. Figures are printed. And what docs/write-a-plugin.md says: a plugin's package in an environment of its own.
drill: $(VENV)/dev.stamp
	$(IN) -m pytest -s -m drill tests/supply tests/e2e/test_backup.py tests/e2e/test_update.py tests/new_plugin tests/conformance

# A gateway at half of its load for an hour: memory, files, threads and tasks have to stay what they are. BOUND=n: for n
# seconds.
soak: $(VENV)/dev.stamp
	$(IN) -m soak $(if $(BOUND),--seconds $(BOUND))

# Which cases of the contract the plugins beside the gateway pass, and their slice of the fault matrix, to be published.
conformance: $(VENV)/dev.stamp
	$(IN) -m pytest -q -n 2 -p gateway.testing.conformance --conformance=dist/conformance.md \
		$(shell find tests/plugins -name test_contract.py) tests/test_fault_matrix.py

# What was written by a running gateway (.state) stays.
clean:
	rm -rf $(VENV) $(TOOLS_VENV) $(SEKMET_VENV) $(GNUHEALTH_VENV) $(MEDPLUM_HOME) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The last step makes the plugins beside the gateway known by their entry points, as anybody's are.
$(VENV)/run.stamp: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	$(IN) -m pip install $(PIP_FLAGS) --require-hashes -r requirements.lock -r requirements-build.lock
	$(IN) -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	$(IN) -m pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	@touch $@

$(TOOLS_VENV)/stamp: requirements-tools.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements-tools.lock
	@touch $@

$(SEKMET_VENV)/stamp: tests/live/sekmet.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(SEKMET_VENV)
	$(SEKMET_VENV)/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r tests/live/sekmet.lock
	@touch $@

# The lock is complete: it has psycopg2 as its binary twin, which pip would not take for it.
$(GNUHEALTH_VENV)/stamp: tests/live/gnuhealth.lock | $(VENV)/bin/python
	$(PYTHON) -m venv $(GNUHEALTH_VENV)
	$(GNUHEALTH_VENV)/bin/python -m pip install $(PIP_FLAGS) --no-deps --require-hashes -r tests/live/gnuhealth.lock
	@touch $@

$(MEDPLUM_HOME)/stamp: $(wildcard tests/live/medplum/*)
	@command -v npm >/dev/null || { echo 'Node.js 20 with npm is needed to run Medplum'"'"'s FHIR router' >&2; exit 1; }
	mkdir -p $(MEDPLUM_HOME)
	cp tests/live/medplum/* $(MEDPLUM_HOME)
	cd $(MEDPLUM_HOME) && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@
