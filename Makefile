# `make` alone tells what there is. The work is done in tools/ and utils/.
.DEFAULT_GOAL := help
.PHONY: help setup course refresh test lint lab slides demo render bench findings check-pins clean

# PyPI has a package called utils, too: this folder comes first, for the kernels as well.
export PYTHONPATH := $(CURDIR)
# A kernel of the same name in the user's home must not take the place of the environment's.
export JUPYTER_PREFER_ENV_PATH := 1
# Without a home that can be written to, as in a container or a computer lab, Jupyter does not start: lend it one.
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes),yes)
export HOME := $(shell mktemp -d)
endif

help:
	@echo "make setup                make .venv with everything that requirements.txt pins (Python 3.11), and .venv-turi,"
	@echo "                          the kernel of notebook 04, where there is a Python 3.8"
	@echo "make course               run the notebooks in order, into exported/"
	@echo "make course PHOTOS=DIR    the same on your own photographs: one folder a class"
	@echo "make test                 unit tests, then every notebook, its outputs compared with the stored ones"
	@echo "make lint                 style, spelling, types, and the metadata of notebooks"
	@echo "make refresh              run the notebooks in order, and store their outputs in notebooks/, to commit"
	@echo "make refresh NOTEBOOK=F   the same for one of them"
	@echo "make lab                  open the notebooks in Jupyter Lab"
	@echo "make slides               slides from the notebooks, each one file for any browser, into exported/slides/"
	@echo "make slides NOTEBOOK=F    the same for one of them"
	@echo "make demo                 the model in a browser, on this computer and on phones; needs Node.js (web/README.md)"
	@echo "make demo PORT=8123       the same at another port"
	@echo "make render               render the missing pictures of data/tabletop with Blender (hours; .venv-studio)"
	@echo "make render SHARD=1/4     a quarter of them, on one of four machines"
	@echo "make bench                training, inference, a busy computer, the course: seconds and ratios"
	@echo "make findings             measure how much accuracies and the like differ between runs (hours; CONTRIBUTING.md)"
	@echo "make check-pins           which pins are behind what pip finds today"
	@echo "make clean                remove the environments and caches; exported/ and data/ stay"

setup:
	@"$(SHELL)" tools/setup.sh 3.11 .venv --without-pins environments/tf-coreml.txt
	@"$(SHELL)" tools/setup.sh 3.8-x86_64 .venv-turi --left-out "notebook 04 (Turi Create)" \
		--requirements environments/turi-create.txt --gigabytes 2 --kernel turi-create

course: setup
	@.venv/bin/python -m tools.course

refresh: setup
	@PHOTOS= .venv/bin/python -m tools.course --refresh $(NOTEBOOK)

test: setup
ifneq ($(strip $(ARGS)),)
	@.venv/bin/python -m pytest $(ARGS)
else
	@.venv/bin/python -m pytest tests coreml-runtime/tests --numprocesses 2 --dist loadfile --cov; unit_tests=$$?; \
		.venv/bin/python -m pytest notebooks && exit $$unit_tests
endif

lab: setup
	@.venv/bin/python -m jupyterlab --ServerApp.root_dir=notebooks $(ARGS)

slides: setup
	@.venv/bin/python -m tools.slides $(NOTEBOOK)

demo: setup
	@.venv/bin/python -m tools.demo $(if $(PORT),--port "$(PORT)") $(ARGS)

render:
	@"$(SHELL)" tools/setup.sh 3.11 .venv-studio --requirements studio/requirements.txt --gigabytes 2
	@.venv-studio/bin/python -m studio --out data/tabletop $(if $(SHARD),--shard $(SHARD)) $(ARGS)

bench: setup
	@.venv/bin/python -m tools.bench

findings: setup
	@.venv/bin/python -m tools.findings $(ARGS)

# What has text in it that somebody wrote.
TEXT := $(wildcard *.md *.toml) .github coreml-runtime data/README.md exported/README.md ios notebooks studio tests tools utils web/README.md
lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/codespell $(TEXT)
	@.venv/bin/mypy --config-file coreml-runtime/pyproject.toml coreml-runtime/src
	@.venv/bin/end-of-file-fixer $$(find $(TEXT) -name "*.py" -o -name "*.md" -o -name "*.toml" -o -name "*.yml" -o -name "*.ipynb")
	@.venv/bin/nbstripout --verify --keep-output --keep-count --keep-id notebooks/*.ipynb

check-pins: setup
	@.venv/bin/python -m pip list --outdated

clean:
	rm -rf .venv .venv.* .venv-turi .venv-turi.* .venv-studio .venv-studio.* .pytest_cache .mypy_cache .ruff_cache .hypothesis web/node_modules web/dist
	find utils tests tools studio coreml-runtime -name __pycache__ -type d -prune -exec rm -rf {} +
