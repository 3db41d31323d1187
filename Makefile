# Each target sets up all it needs first: system packages, a virtual environment, the pinned packages, the C extension.
#
#   make llc      the main job: latency and LLC misses of one pattern, with PyTorch and OpenVINO, as a table and a picture
#   make test     all tests
#   make test-gpu-double   tests of the GPU backend on a CPU's OpenCL runtime (fetches 270 MB)
#   make quick    the quick tests, under a minute together: none of the simulator, none of the pages
#   make coverage all tests, and whether they reach the lines that they are to
#   make sanitize tests of the C code, built with AddressSanitizer and UndefinedBehaviorSanitizer
#   make analyze  GCC's static analysis of the C code
#   make lint     ruff, mypy, bandit, and the schemas of the workflows and of CITATION.cff
#   make docs     the site of docs/, in build/site; a warning is an error
#   make setup    the set-up alone
#   make clean    remove what was built (not the results)
#
# PYTHON=python3.12                       another interpreter to make the virtual environment with
# VENV_FLAGS=--system-site-packages       use the PyTorch and OpenVINO that the interpreter has
# ARGS='--pattern all --depths 10,30'     other arguments for `make llc`; for `make test`, pytest's
# JOBS=4                                  so many tests at once (2)

PYTHON ?= python3
VENV ?= .venv
VENV_FLAGS ?=
JOBS ?= 2
export PYTHON VENV_FLAGS

run := $(VENV)/bin/python
stamps := $(VENV)/stamps
extension_sources := $(wildcard csrc/perf_event/*)
parallel := --numprocesses $(JOBS) --dist loadfile
covered_wholly := formfn_profile/results.py,formfn_profile/correlation.py,formfn_profile/findings/*
sanitizers := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g

.PHONY: help llc test test-gpu-double quick coverage sanitize analyze lint docs setup clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#  \{0,1\}//p' Makefile

llc test test-gpu-double quick coverage: ARGS ?=
llc: setup
	$(run) -m formfn_profile.llc $(or $(ARGS),--pattern dwbottleneck --plot formfn_results/llc_dwbottleneck.png)

test: setup $(stamps)/emulated $(stamps)/opencl
	$(run) -m pytest $(parallel) $(ARGS)

test-gpu-double: setup $(stamps)/opencl
	$(run) tests/gpu_double/runtime.py $(VENV)/gpu-double
	FORMFN_GPU_DOUBLE=$(VENV)/gpu-double $(run) -m pytest tests/gpu_double $(ARGS)

quick: setup
	$(run) -m pytest -m "not slow and not emulated and not simulator" $(parallel) $(or $(ARGS),tests)

coverage: setup $(stamps)/emulated $(stamps)/opencl
	$(run) -m coverage erase
	$(run) -m coverage run -m pytest $(parallel) $(ARGS)
	$(run) -m coverage combine --quiet
	$(run) -m coverage report --fail-under=90
	$(run) -m coverage report --fail-under=100 --include='$(covered_wholly)'

# The extension is built beside the checkout's, with a copy of the package, and its tests run from there: but for
# those of OpenVINO's and PyTorch's pools, which don't run under ASan, of a whole Python's CPU time and faults, and of
# memory that is given back, which ASan keeps for a while.
sanitize: setup
	CFLAGS='$(sanitizers)' $(run) setup.py --quiet build --build-base build/sanitized/temp --build-lib build/sanitized
	cd build/sanitized && LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 \
		PYTHONPATH=$(CURDIR)/build/sanitized $(abspath $(run)) -m pytest -c $(CURDIR)/pyproject.toml \
		-k 'not own_pool and not stat_counts and not 5000_sessions' $(CURDIR)/tests/perfcounters $(ARGS)
	FORMFN_SANITIZERS='$(sanitizers)' $(run) -m pytest tests/llcsim/test_model.py $(ARGS)

analyze: setup
	$(run) tools/check_c.py -fanalyzer

lint: setup
	$(run) -m ruff check
	$(run) -m ruff format --check
	$(run) -m mypy
	$(run) -m bandit --quiet --recursive --configfile pyproject.toml .
	$(run) -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(run) -m check_jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

docs: setup
	NO_MKDOCS_2_WARNING=1 $(run) -m mkdocs build --quiet
	@echo "make: build/site/index.html"

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
