# The front door. Each target is one line around a real tool; `make` alone lists them.
# Needs Python >= 3.11 and make; everything else is installed into .venv by tools/bootstrap.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
PLATFORM := $(BIN)/platform
STATE ?= $(or $(PLATFORM_STATE),.platform)
# What runs is found through .platform/env, unless the environment names another platform.
WITH_ENV = if [ -z "$$GATEWAY_URL" ] && [ -f $(STATE)/env ]; then . $(abspath $(STATE))/env; fi;
PYTEST_ARGS ?=
# So many processes, each with a Postgres and a Redis of its own, a file at a time; 0 is this one alone. Tests marked `timing`
# (overload, deadlines, kills) want the machine for themselves and come afterwards, one by one. Their failure may be a machine that
# stood still for two seconds, so one is told and tried once more (R); no other test has a second try.
TEST_WORKERS ?= 2
LOAD_ARGS ?=
PROFILE ?= smoke
URL ?=

##@ Run it

.PHONY: demo
demo: bootstrap ## A day of orders through a copy of its own: payments, ledger, events, reconciliation, proof
	@$(PLATFORM) demo $(DEMO_ARGS)

.PHONY: up
up: bootstrap ## Start everything and keep it running; prints the URLs and one curl that pays
	@$(PLATFORM) up

.PHONY: ps
ps: bootstrap ## Processes with pid, port, restarts, health
	@$(PLATFORM) ps

.PHONY: logs
logs: bootstrap ## Follow all logs (ROLE=gateway-api for one)
	@$(PLATFORM) logs $(ROLE) -f

.PHONY: down
down: bootstrap ## Stop what `up` started; data stays
	@$(PLATFORM) down

.PHONY: reset
reset: bootstrap ## Stop and wipe all data
	@$(PLATFORM) reset

.PHONY: doctor
doctor: bootstrap ## Does this machine have what the local stack needs?
	@$(PLATFORM) doctor

##@ Prove it

.PHONY: check
check: bootstrap ## Format, lint, types, import boundaries, requirements
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m platform_cli.check_requirements

.PHONY: test
test: bootstrap ## All tests that need no cluster, on embedded servers (TEST_BACKEND=containers: in Docker)
	@run() { $(BIN)/pytest "$$@" $(PYTEST_ARGS) || { code=$$?; [ $$code = 5 ] || failed=$$code; }; }; \
	  run -m "not timing" -n $(TEST_WORKERS) --dist loadfile; run -m timing --reruns 1 -raR; exit $${failed:-0}  # 5: none of this kind

.PHONY: e2e
e2e: bootstrap ## The HTTP suite against `make up`, or against GATEWAY_URL and its neighbours
	$(WITH_ENV) $(BIN)/pytest tests/e2e $(PYTEST_ARGS)

.PHONY: load
load: bootstrap ## PROFILE=smoke|steady|spike|… against what runs here, URL=… or URL=kubernetes; the exit code is the verdict
	$(BIN)/python -m loadtests run $(PROFILE) $(if $(URL),--url $(URL)) $(LOAD_ARGS)

.PHONY: fmt
fmt: bootstrap ## Format and apply the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

##@ Keep it

.PHONY: lock
lock: bootstrap ## Resolve anew and write the hashed requirements (LOCK_ARGS=--upgrade for new versions)
	tools/lock $(LOCK_ARGS)

.PHONY: bootstrap
bootstrap: ## Make or update .venv; the other targets do it by themselves
	@tools/bootstrap

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  \033[36m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include mk/*.mk
