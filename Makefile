# The commands of a checkout. Each makes .venv first, and again when pyproject.toml has changed.
#   make armnn-onnx OUT=out ARGS="--dry-run"      PYTHON=python3.12 picks the interpreter (3.10 or newer)

PYTHON ?= python3
VENV ?= .venv
OUT ?= out
ARGS ?=
# Optional parts for the tests; one that cannot be installed here is left out, and its tests are skipped.
EXTRAS ?= check onnx tf bundle remote socks

# An interpreter for the real pycaffe that the Caffe tests compare with (its wheels end at Python 3.9).
PYTHON39 ?= $(shell for p in python3.9 "$$HOME"/.pyenv/versions/3.9*/bin/python3.9; do "$$p" -c '' 2>/dev/null && echo "$$p" && break; done)

BIN := $(VENV)/bin
# pip, with few lines that say how far it is.
PIP := $(BIN)/python tools/run_pip.py
GROUPS := $(filter-out assets,$(notdir $(patsubst %/,%,$(dir $(wildcard recipes/*/*.yaml)))))
GROUPS := $(sort $(GROUPS))

# Set only where they could be made; what the user has set wins.
ORACLES = $(if $(MODELPREP_PYCAFFE),,$(if $(wildcard $(VENV)/pycaffe/bin/python),MODELPREP_PYCAFFE='$(abspath $(VENV)/pycaffe/bin/python)')) \
  $(if $(MODELPREP_VELA),,$(if $(wildcard $(VENV)/vela/bin/vela),MODELPREP_VELA='$(abspath $(VENV)/vela/bin/vela)')) \
  $(if $(MODELPREP_LABGRID),,$(if $(wildcard $(VENV)/labgrid/bin/labgrid-client),MODELPREP_LABGRID='$(abspath $(VENV)/labgrid/bin/python)')) \
  $(if $(MODELPREP_QUANTIZER),,$(if $(wildcard $(VENV)/quantizer/bin/aeq),MODELPREP_QUANTIZER='$(abspath $(VENV)/quantizer/bin/python)'))

# Without bytecode on the disk, every command that a test starts would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# pip knows dependency groups from 25.1 on.
PIP_GROUPS = $(BIN)/python -c 'import pip; raise SystemExit(tuple(map(int, pip.__version__.split(".")[:2])) < (25, 1))' || \
  $(PIP) install --upgrade 'pip>=25.1'

.PHONY: help all $(GROUPS) docs pictures reference venv tools test check corpus bench faults demo man clean distclean

help:  ## say what there is
	@printf 'make TARGET [OUT=%s] [ARGS="--dry-run"] [PYTHON=%s]\n\n' '$(OUT)' '$(PYTHON)'
	@printf '  %-12s %s\n' 'GROUP' 'fetch and prepare a group: $(GROUPS)'
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS="$$(printf '\t')" read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

all: $(VENV)/core.stamp  ## fetch and prepare every group
	$(BIN)/modelprep fetch all --out '$(OUT)' $(ARGS)

$(GROUPS): $(VENV)/core.stamp
	$(BIN)/modelprep fetch $@ --out '$(OUT)' $(ARGS)

demo: $(VENV)/demo.stamp  ## fetch and check stand-ins from this machine, without internet; ALL=yes for every recipe
	@$(BIN)/python demo/run.py $(if $(ALL),--all) $(if $(ARGS),-- $(ARGS))

# One worker more than processors, since a fifth of the time is spent waiting for servers and processes. A worker that
# has nothing left takes tests from another: what is expensive is made once for all workers (tests/once.py).
WORKERS ?= $(shell '$(PYTHON)' -c 'import os; print(os.cpu_count() + 1)')
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
# Coverage is cheap from Python 3.12 on (sys.monitoring) and slow before; COVERAGE=yes asks for it all the same.
COVERAGE ?= $(shell '$(PYTHON)' -c 'import sys; print("yes" * (sys.version_info >= (3, 12)))')
COV = $(if $(COVERAGE),--cov=modelprep --cov-report=term:skip-covered)
# All that tests are run with; `make --jobs 4 tools` makes them side by side.
TOOLS := $(VENV)/test.stamp $(VENV)/pycaffe.stamp $(VENV)/vela.stamp $(VENV)/quantizer.stamp $(VENV)/labgrid.stamp
# What fails beside others is run once more by itself, and decides: real servers and kills meet a busy machine.
AGAIN = { echo 'Some tests failed; they are run again by themselves.'; \
  $(ORACLES) $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

tools: $(TOOLS)  ## make the environments that the tests need

test: $(TOOLS)  ## run the quick tests
	@$(ORACLES) $(PYTEST) -m 'not slow' $(ARGS)

check: $(TOOLS)  ## everything that CI runs: linters, types, all tests (COVERAGE=yes)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(COV),COVERAGE_CORE=sysmon) $(ORACLES) $(PYTEST) $(COV) $(ARGS) || $(AGAIN)

corpus: $(VENV)/test.stamp  ## inspect, lint and convert every model below DIR, and write a table: ARGS="--out corpus.tsv --each 3 --jobs 2"
	@test -n '$(DIR)' || { echo 'make corpus DIR=FOLDER [ARGS="--out corpus.tsv --each 3 --jobs 2 --quick"]' >&2; exit 2; }
	$(ORACLES) $(BIN)/python tests/corpus/corpus_run.py '$(DIR)' $(ARGS)

bench: $(TOOLS) $(VENV)/peers.stamp  ## measure, each beside its peer, and write docs/performance.md: ONLY=small,hosts, ARGS=--quick
	@$(ORACLES) $(BIN)/python benchmarks/run.py $(if $(ONLY),--only '$(ONLY)') $(ARGS)

# Minutes of fuzzing in all; the long run is MINUTES=60. KILLS=40 for a short one.
MINUTES ?= 4
KILLS ?= 200

faults: $(VENV)/test.stamp  ## faults, attacks, kills, full disks, fuzzing: docs/reliability.md; MINUTES=60, ONE=kills
	@$(PIP) install atheris
	$(BIN)/python faults/run.py --minutes '$(MINUTES)' --kills '$(KILLS)' $(if $(ONE),--one '$(ONE)') $(ARGS)

man: $(VENV)/core.stamp  ## write the man page anew from the commands: docs/man/modelprep.1
	$(BIN)/python docs/make_man.py

reference: $(VENV)/core.stamp  ## write docs/reference anew from the code
	$(BIN)/python docs/make_reference.py

docs: $(VENV)/docs.stamp  ## build the documentation as a site: build/docs/index.html; a dead link is an error
	$(BIN)/python docs/make_reference.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo 'build/docs/index.html'

pictures: $(VENV)/docs.stamp $(VENV)/demo.stamp  ## make the README's recording and screenshot anew; needs Chromium
	$(BIN)/python docs/make_pictures.py

venv: $(VENV)/core.stamp  ## make .venv and no more

clean:  ## remove what the demo, builds and tools leave; the cache, out/ and .venv stay
	rm -rf .demo .fuzz .faults.jsonl build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find modelprep demo tests benchmarks faults -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv as well
	rm -rf '$(VENV)'

# Three stamps, so that `make armnn-onnx` installs no more than the tool needs.
$(VENV)/core.stamp: pyproject.toml
	@'$(PYTHON)' -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed; this is %d.%d (%s). Name another one: make PYTHON=python3.12" % (*sys.version_info[:2], sys.executable))'
	@test -x $(BIN)/python || '$(PYTHON)' -m venv '$(VENV)'
	@$(PIP) install --editable .
	@touch $@

$(VENV)/demo.stamp: $(VENV)/core.stamp
	@$(PIP) install numpy
	@$(PIP) install --editable '.[check]' || \
	  echo 'The extra "check" cannot be installed here: the demo will not classify with other runtimes.'
	@touch $@

$(VENV)/docs.stamp: $(VENV)/core.stamp
	@$(PIP_GROUPS)
	@$(PIP) install --group docs
	@touch $@

$(VENV)/test.stamp: $(VENV)/core.stamp
	@$(PIP_GROUPS)
	@$(PIP) install --group dev
	@list="$$(echo $(EXTRAS) | tr ' ' ',')"; \
	if [ -n "$$list" ] && ! $(PIP) install --editable ".[$$list]"; then \
	  for extra in $(EXTRAS); do \
	    $(PIP) install --editable ".[$$extra]" || echo "The extra \"$$extra\" cannot be installed here: its tests are skipped."; \
	  done; \
	fi
	@touch $@

# A real Caffe to compare with, where there is a Python for it; without it those tests say that they were skipped.
$(VENV)/pycaffe.stamp: $(VENV)/core.stamp
	@if [ -n '$(PYTHON39)' ]; then \
	  '$(PYTHON39)' -m venv '$(VENV)/pycaffe' && \
	  '$(VENV)/pycaffe/bin/python' tools/run_pip.py install kendryte-caffe 'numpy<2' 'protobuf<4' && \
	  '$(VENV)/pycaffe/bin/python' -c 'import caffe' 2>/dev/null || \
	  { rm -rf '$(VENV)/pycaffe'; echo 'pycaffe cannot be installed here: the tests that compare with it are skipped.'; }; \
	else echo 'no Python 3.9 for pycaffe: the tests that compare with it are skipped.'; fi
	@touch $@

# The compiler for Ethos-U, in an environment of its own: it wants other versions of what it shares with us.
$(VENV)/vela.stamp: $(VENV)/core.stamp
	@'$(PYTHON)' -m venv '$(VENV)/vela' && \
	  '$(VENV)/vela/bin/python' tools/run_pip.py install 'ethos-u-vela>=3.10' || \
	  { rm -rf '$(VENV)/vela'; echo 'Vela cannot be installed here: the tests that compile with it are skipped.'; }
	@touch $@

# An environment of its own: labgrid is a plug-in of pytest too, and every test run would load it.
$(VENV)/labgrid.stamp: $(VENV)/core.stamp
	@'$(PYTHON)' -m venv '$(VENV)/labgrid' && \
	  '$(VENV)/labgrid/bin/python' tools/run_pip.py install -e '.[labgrid]' || \
	  { rm -rf '$(VENV)/labgrid'; echo 'labgrid cannot be installed here: the tests of its places are skipped.'; }
	@touch $@

# The quantizer wants a LiteRT of its own version.
$(VENV)/quantizer.stamp: $(VENV)/core.stamp
	@'$(PYTHON)' -m venv '$(VENV)/quantizer' && \
	  '$(VENV)/quantizer/bin/python' tools/run_pip.py install 'ai-edge-quantizer>=0.4' || \
	  { rm -rf '$(VENV)/quantizer'; echo 'ai-edge-quantizer cannot be installed here: the tests that quantise with it are skipped.'; }
	@touch $@

# What fetches files too and is measured beside us; in an environment of its own, as it brings libraries that we have.
$(VENV)/peers.stamp: $(VENV)/core.stamp
	@for tool in curl wget aria2; do command -v $$tool $${tool}c >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get install -qq -y --no-install-recommends $$tool >/dev/null 2>&1; } || \
	  echo "$$tool is not installed and is not measured."; done
	@'$(PYTHON)' -m venv '$(VENV)/peers' && \
	  '$(VENV)/peers/bin/python' tools/run_pip.py install pooch huggingface_hub || \
	  { rm -rf '$(VENV)/peers'; echo 'pooch and huggingface_hub cannot be installed here: they are not measured.'; }
	@touch $@
