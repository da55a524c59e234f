# Statewide, on one machine. Each target makes the environment first, if it is not there.
#
#   make demo                                           a fresh clone to a published release
#   make test                                           what is tested before a change lands
#   make test-machines                                  several machines, roles, an operator's day
#   make refresh STATE=nc SCHOOL_YEAR=2019 EXTRACTS=... ingest and publish through the DAGs
#   make publish STATE=nc [REASON=...]                  publish what is loaded
#   make up / make down                                 Airflow with its UI
#   make releases STATE=nc / make rollback STATE=nc [RELEASE=...]
#   make forget [DAYS=400]                              Airflow forgets older runs
#   make env                                            settings of docker-compose.yaml, in .env
#   make questions [STATE=nc]                           docs/questions.md, asked of a release
#   make bench                                          protection by size; what the DAGs cost
#   make pictures                                       the documentation's, of Airflow (Chromium)
#   make mutations                                      mistakes made on purpose, and who notices
#   make lint / make lock                               for who changes the code
#
# Runtime state is kept under STATEWIDE_HOME (default: var/).

ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
RUN := cd "$(ROOT)" && PYTHONPATH="$(ROOT)" "$(ROOT)/.venv/bin/python"

# Where the caller stands: relative EXTRACTS are looked for there (make -C changes the other one).
export CALLER := $(PWD)
export STATE SCHOOL_YEAR EXTRACTS ONLY FORCE REASON RELEASE
ifdef SCHEDULES
export STATEWIDE_SCHEDULES := $(SCHEDULES)
endif

.PHONY: setup demo test test-machines refresh publish up down releases rollback forget env questions bench pictures mutations lint lock
.DEFAULT_GOAL := demo

setup:
	@"$(PYTHON)" "$(ROOT)/ops/preflight.py"
	@"$(PYTHON)" "$(ROOT)/ops/environment.py"

demo: setup
	@$(RUN) -m ops.demo

# The quick ones first, then those that run Airflow.
test: setup
	@$(RUN) -m pytest -m "not pipeline and not machines" -n auto --dist loadfile
	@$(RUN) -m pytest -m pipeline

# With PostgreSQL and Redis from Debian's packages; without them it says which tests it left out.
test-machines: setup
	@$(RUN) -m pytest -m machines

refresh: setup
	@$(RUN) -m ops.refresh --state "$$STATE" --school-year "$$SCHOOL_YEAR" \
		--extracts "$$EXTRACTS" --only "$$ONLY" --reason "$$REASON" $(if $(FORCE),--force) \
		--place "$$CALLER" --place "$(CURDIR)"

publish: setup
	@$(RUN) -m ops.refresh --state "$$STATE" --publish-only --reason "$$REASON"

up: setup
	@$(RUN) -m ops.instance up

down: setup
	@$(RUN) -m ops.instance down

releases: setup
	@$(RUN) -m include.release list --state "$$STATE"

rollback: setup
	@$(RUN) -m include.release rollback --state "$$STATE" $(if $(RELEASE),--to "$$RELEASE") \
		--reason "$$REASON"

forget: setup
	@$(RUN) -m ops.forget $(if $(DAYS),--days "$(DAYS)")

env: setup
	@$(RUN) -m ops.deployment env

questions: setup
	@$(RUN) -m ops.questions --state "$${STATE:-zz}" $(if $(CHECK),--check)

bench: setup
	@$(RUN) -m ops.bench

# Of the demo state, then of a newcomer's hour, which is a test.
pictures: export STATEWIDE_PICTURES := $(ROOT)/docs/images
pictures: setup
	@$(RUN) -m ops.pictures
	@$(RUN) -m pytest -q tests/test_newcomer.py

mutations: setup
	@$(RUN) -m ops.mutations --only "$(ONLY)"

lint: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m yamllint -s include/states include/standard dbt_project docker-compose.yaml

# Resolves requirements.in into the hashed lock; it names no index, so mirrors may serve it.
lock: setup
	@$(RUN) -m piptools compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --no-strip-extras --allow-unsafe \
		--output-file requirements.txt requirements.in
