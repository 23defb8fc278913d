##@ Load tests

ADAPTER ?=
RUN ?=
VERSION ?= v1

.PHONY: load-profiles load-compare load-unpack load-digest kind-load-generator
load-profiles: bootstrap ## The profiles that come with the platform
	@$(BIN)/python -m loadtests list

load-compare: bootstrap ## Ledger transfers here and at URL=… through ADAPTER=yours.py, side by side in one run
	$(BIN)/python -m loadtests compare $(if $(URL),--url $(URL)) $(if $(ADAPTER),--adapter $(ADAPTER)) $(LOAD_ARGS)

load-unpack: bootstrap ## Results out of a log: kubectl logs job/… | make load-unpack OUT=results
	@$(BIN)/python -m loadtests unpack $(or $(OUT),.platform/load/from-log)

load-digest: bootstrap ## A run as a page of Markdown: make load-digest RUN=.platform/load/steady-… > steady.md
	@$(BIN)/python -m loadtests digest $(RUN)

kind-load-generator: ## Build the load generator's image as VERSION and load it into the cluster
	docker build --quiet --file loadtests/Dockerfile --tag loadgen:$(VERSION) $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) .
	kind load docker-image --name $(or $(KIND_CLUSTER),platform) loadgen:$(VERSION)
