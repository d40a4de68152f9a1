# MPCSFaaS. `make help` lists the targets; every one that needs the set-up runs it by itself, quietly.
#
# Variables, all optional, reach the programs through the environment: bus/config.ts documents and checks each of them.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.SILENT:
.PHONY: help setup setup-pypy setup-sandbox setup-browser setup-test up demo api dispatcher worker monitor redis nats test check audit coverage simulate chaos bench bench-peers bench-scaling diagrams diagrams-check screenshots format clean distclean

# A recipe becomes the program (exec): nothing stands between it and a Ctrl-C.
MPCSFAAS := exec node --enable-source-maps dist/cli/main.js

help: ## List the targets and variables
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile
	echo
	echo "Variables: MODE=push|pull|local  WORKERS=1  SLOTS=<cores>  API_PORT=8000  DATA_DIR=.platform  PYTHON=..."
	echo "           PYTHONPATH=...  SANDBOX=none|process|bubblewrap  LOG_LEVEL=info  LOG_FORMAT=pretty|json  REDIS_URL=...  NATS_URL=..."
	echo "           for single actors also  DISPATCHER_PORT=5555  DISPATCHER_URL=tcp://127.0.0.1:5555"
	echo "For example: make up MODE=pull WORKERS=2 API_PORT=8001"

setup: ## Install what is missing (npm packages, servers, a Python with dill) and build
	scripts/setup.sh

setup-pypy: ## Install a second Python for workers as well: PyPy with dill, at .platform/pypy/python
	scripts/setup.sh pypy

setup-sandbox: ## Install bubblewrap as well (apt), for workers with SANDBOX=bubblewrap
	scripts/setup.sh sandbox

setup-browser: ## Install a Chromium as well (apt), for the specs of the dashboard and its screenshots
	scripts/setup.sh browser

setup-test:
	scripts/setup.sh test

up: setup ## Start a whole platform, until Ctrl-C
	$(MPCSFAAS) up

demo: setup ## Start a platform on free ports, run real work through it, stop it
	$(MPCSFAAS) demo

api: setup ## Start the HTTP API alone
	$(MPCSFAAS) api

dispatcher: setup ## Start a dispatcher alone
	$(MPCSFAAS) dispatcher

worker: setup ## Start a worker alone, for the dispatcher at DISPATCHER_URL
	$(MPCSFAAS) $(or $(MODE),push)_worker \
	  $(or $(SLOTS),$$(node -p 'os.availableParallelism()')) $(or $(DISPATCHER_URL),tcp://127.0.0.1:$(or $(DISPATCHER_PORT),5555))

monitor: setup ## Start a heartbeat monitor alone
	$(MPCSFAAS) monitor

redis: setup ## Start a redis-server alone, on the port of REDIS_URL
	$(MPCSFAAS) redis

nats: setup ## Start a nats-server alone, on the port of NATS_URL
	$(MPCSFAAS) nats

test: setup-test ## Run all specs and the Python tests
	exec node scripts/test.mjs

check: setup ## Compile, lint, check format, import rules, unused exports and drawings
	exec scripts/check.sh

audit: setup ## Ask for known vulnerabilities of the packages: npm audit, pip-audit
	exec node scripts/audit.mjs

coverage: setup ## Run the specs and report what they cover, here and in coverage/index.html
	exec node_modules/.bin/c8 node_modules/.bin/mocha 'dist/specs/**/*.spec.js'

simulate: setup ## Simulate the platform from seeds: SEEDS=1000 [SEED=1] [BREAK=fence|adoption|reap-pause|sweep] [VERBOSE=1]
	exec node --enable-source-maps dist/specs/simulation/main.js --seeds $(or $(SEEDS),1000) \
	  $(if $(SEED),--seed $(SEED)) $(if $(BREAK),--break $(BREAK)) $(if $(VERBOSE),--verbose)

chaos: setup ## Kill, stop and starve real processes and count what is lost: [SEED=1] [MINUTES=1] [ONLY=fault] [BREAK=fence|adoption|reap-pause]
	exec node --enable-source-maps dist/specs/chaos/main.js $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(BREAK),--break $(BREAK))

bench: setup ## Measure throughput, latency, cost; print the targets beside the figures (under 10 minutes)
	exec node --enable-source-maps dist/bench/main.js $(BENCH)

bench-peers: setup ## Put the same questions to Celery, Dask, Parsl, RQ and others, installed under .platform/
	exec node --enable-source-maps dist/bench/peers.js $(BENCH)

bench-scaling: setup ## The weak scaling study: 1 to 8 workers, all modes, with plots
	exec node --enable-source-maps dist/bench/scaling.js $(BENCH)

diagrams: setup ## Draw the state machines into ARCHITECTURE.md
	exec node dist/cli/diagrams.js

diagrams-check: setup ## Tell whether the drawings are those of the machines
	exec node dist/cli/diagrams.js --check

screenshots: setup setup-browser ## Take a picture of every page of the dashboard at two sizes: [DIR=.platform/screenshots]
	exec node --enable-source-maps dist/specs/browser/screenshots.js $(DIR)

format: setup ## Rewrite sources the way prettier and ruff want them
	scripts/format.sh

clean: ## Remove what was built
	rm -rf dist coverage .eslintcache

distclean: clean ## Remove all that set-up and use have left: packages, Pythons, the data of `make up`
	rm -rf node_modules .venv .venv-dev .platform
