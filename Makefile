# make demo | test | check | soak: each installs what it needs. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
TRITON_VENV := .venv-triton
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: web web-packages texts docs demo peers test check mutants soak lint format types contracts clean node triton dev
.DELETE_ON_ERROR:

# The node's own environment: no torch.
$(VENV)/.node: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install -e .
	touch $@

# What tests, lint and training need on top.
$(VENV)/.dev: $(VENV)/.node
	$(BIN)/python $(PIP) install torch==2.13.0
	$(BIN)/python $(PIP) install -e '.[dev,training]'
	touch $@

# The Triton server's environment: it corrupts tensors without an error where numpy is 2 or newer.
$(TRITON_VENV)/.installed: deploy/triton/requirements.txt
	$(PYTHON) -m venv $(TRITON_VENV)
	$(TRITON_VENV)/bin/python $(PIP) install torch==2.13.0
	$(TRITON_VENV)/bin/python $(PIP) install -r deploy/triton/requirements.txt
	touch $@

node: $(VENV)/.node
dev: $(VENV)/.dev
triton: $(TRITON_VENV)/.installed

demo:
	@[ -e $(TRITON_VENV)/.installed ] || echo "First installs into $(VENV) and $(TRITON_VENV): about 0.5 GB to download, 2 GB on disk (3 GB more if torch comes with CUDA)."
	@$(MAKE) --no-print-directory node triton
	$(BIN)/contour-node demo $(if $(CT),--ct $(CT)) $(if $(KEEP),--keep)

# Other makers' programs that tests talk to, from Debian's packages; without them those tests are skipped and said so.
PEERS := chromium crun ctn dcmtk default-jre-headless dicom3tools libpixelmed-java odil openssl orthanc orthanc-dicomweb \
	plastimatch prometheus
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
peers:
	$(SUDO) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $(PEERS)

# The page's scripts and style: only for those who change web/; what it makes is committed. Needs Node.js.
web: web-packages
	cd web && npm run build
web-packages:
	cd web && npm ci --ignore-scripts --no-audit --no-fund

# The texts of the page into its catalogues, service/web/locale (docs/page.md).
texts: dev
	$(BIN)/python web/texts.py

# The documentation as a site, build/site/index.html; a warning is an error (tests/test_docs_site.py builds it too).
docs: dev
	$(BIN)/python docs/site.py

# One process a core, whole files each: tests of a file share their servers.
JOBS ?= $(shell nproc)
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test: dev triton
	$(PYTEST)

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: dev
	$(BIN)/mypy

contracts: dev
	$(BIN)/lint-imports

check: lint types contracts dev triton
	$(PYTEST) --durations=40 --cov --cov-report=term:skip-covered

# Small mistakes put into a copy of the code, one at a time: would a test notice? (docs/reliability.md)
MUTANTS ?= 150
SEED ?= 1
PACKAGE ?=
mutants: dev
	$(BIN)/python -m reliability.mutants --number $(MUTANTS) --seed $(SEED) $(if $(PACKAGE),--package $(PACKAGE))

# Hours of trials (docs/reliability.md); fewer with ROUNDS=, KILLS=, CUTS=, MINUTES=, another run with SEED=.
ROUNDS ?= 300
KILLS ?= 2000
CUTS ?= 100
MINUTES ?= 60
soak: dev triton
	$(BIN)/python -m reliability.kills --kills $(KILLS) --seed $(SEED) --out runs/soak/kills
	$(BIN)/python -m reliability.kills --by stow --kills $(KILLS) --seed $(SEED) --out runs/soak/stow-kills
	$(BIN)/python -m reliability.backup_kills --kills $(CUTS) --seed $(SEED) --out runs/soak/backup-kills
	for fs in ext4 xfs btrfs; do $(BIN)/python -m reliability.power --fs $$fs --rounds $(CUTS) --seed $(SEED) \
		--out runs/soak/power-$$fs || [ $$? -eq 2 ] || exit 1; done
	$(BIN)/python -m reliability.durability --rounds $(ROUNDS) --seed $(SEED) --out runs/soak/sqlite
	$(BIN)/python -m reliability.durability --rounds $(ROUNDS) --seed $(SEED) --database postgres --out runs/soak/postgres
	$(BIN)/python -m reliability.fuzz --minutes $(MINUTES) --seed $(SEED) --out runs/soak/fuzz
	$(BIN)/python -m reliability.memory --load hostile --seed $(SEED) --out runs/soak/memory

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(TRITON_VENV) demo
