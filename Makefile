# Each target sets up all it needs first: system packages, a virtual environment, the pinned packages, the C extension.
#
#   make llc      the main job: latency and LLC misses of one pattern, with PyTorch and OpenVINO, as a table and a picture
#   make test     all tests
#   make test-gpu-double   tests of the GPU backend on a CPU's OpenCL runtime (fetches 270 MB)
#   make quick    the tests that take under a minute together
#   make lint     ruff and mypy
#   make setup    the set-up alone
#   make clean    remove what was built (not the results)
#
# PYTHON=python3.12                       another interpreter to make the virtual environment with
# VENV_FLAGS=--system-site-packages       use the PyTorch and OpenVINO that the interpreter has
# ARGS='--pattern all --depths 10,30'     other arguments for `make llc`; for `make test`, pytest's

PYTHON ?= python3
VENV ?= .venv
VENV_FLAGS ?=
export PYTHON VENV_FLAGS

run := $(VENV)/bin/python
stamps := $(VENV)/stamps
extension_sources := $(wildcard csrc/perf_event/*)

.PHONY: help llc test test-gpu-double quick lint setup clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#  \{0,1\}//p' Makefile

llc test test-gpu-double quick: ARGS ?=
llc: setup
	$(run) -m formfn_profile.llc $(or $(ARGS),--pattern dwbottleneck --plot formfn_results/llc_dwbottleneck.png)

test: setup $(stamps)/emulated $(stamps)/opencl
	$(run) -m pytest $(ARGS)

test-gpu-double: setup $(stamps)/opencl
	$(run) tests/gpu_double/runtime.py $(VENV)/gpu-double
	FORMFN_GPU_DOUBLE=$(VENV)/gpu-double $(run) -m pytest tests/gpu_double $(ARGS)

quick: setup
	$(run) -m pytest -m "not slow and not emulated" $(ARGS)

lint: setup
	$(run) -m ruff check
	$(run) -m ruff format --check
	$(run) -m mypy

setup: $(stamps)/simulator $(stamps)/project

$(stamps)/build $(stamps)/simulator: $(stamps)/%: tools/system-packages
	@tools/system-packages $*
	@mkdir -p $(@D) && touch $@

# Without these, the tests that need them say so and are skipped.
$(stamps)/emulated $(stamps)/opencl: tools/system-packages
	@if tools/system-packages $(@F); then mkdir -p $(@D) && touch $@; else echo "make: going on without"; fi

$(stamps)/environment: tools/environment | $(stamps)/build
	@tools/environment $(VENV)
	@touch $@

# What only concerns the extension leaves the dependencies alone.
$(stamps)/project: $(stamps)/environment pyproject.toml constraints.txt tools/install-project tools/pins.py \
		setup.py perfcounters/_version.py $(extension_sources)
	@tools/install-project $(VENV) $(if $(filter-out setup.py perfcounters/% csrc/%,$?),,--no-deps)
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find perfcounters formfn_profile tests csrc \( -name '*.so' -o -name '*.o' -o -name __pycache__ \) -prune -exec rm -rf {} +
