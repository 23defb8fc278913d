# Kubernetes on this machine, and the charts. Settings: KIND_CLUSTER (platform), KIND_NODE_IMAGE, KIND_GATEWAY_PORT (8080),
# KIND_CONSOLE_PORT (8081), VERSION (v1), KUBECONFIG.
##@ Kubernetes and the charts

VERSION ?= v1
export VERSION

.PHONY: kind-up kind-load kind-down kind-test kind-test-full charts-sync charts-golden charts-helm3 dashboards policy

kind-up: ## A kind cluster with the images of VERSION in it; then: helm install platform ./umbrella-chart
	@tools/kind/up.sh

kind-load: ## Build the images as VERSION and load them (make kind-load VERSION=v2)
	@tools/kind/load.sh

kind-down: ## Delete the cluster
	@tools/kind/down.sh

kind-test: ## Install, helm test, e2e, upgrade, rollback, uninstall on a cluster of its own
	@tools/kind/preflight.sh
	$(or $(PYTHON),.venv/bin/python) -m pytest tests/kind/test_release.py -m kind --timeout 1500 -p no:randomly $(KIND_TEST_ARGS)

kind-test-full: ## Every proof of docs/kubernetes on clusters of its own, and their table (half an hour)
	@tools/kind/preflight.sh
	$(or $(PYTHON),.venv/bin/python) -m pytest tests/kind -m kind --timeout 1500 -p no:randomly $(KIND_TEST_ARGS)

charts-sync: ## Copy the shared library chart and schema definitions to where Helm needs them
	@python3 tools/kind/sync_charts.py

charts-golden: ## Write the golden renders again (read the diff before you commit it)
	UPDATE_GOLDEN=1 $(or $(PYTHON),.venv/bin/python) -m pytest tests/charts -k golden -q

charts-helm3: ## All chart tests with Helm 3 instead of Helm 4
	HELM=3 $(or $(PYTHON),.venv/bin/python) -m pytest tests/charts $(PYTEST_ARGS)

dashboards: ## Write Grafana's dashboards again (tools/kind/write_dashboards.py)
	@python3 tools/kind/write_dashboards.py

policy: bootstrap ## kubeconform, kube-score and checkov over every profile (they are installed first; needs Go)
	$(or $(PYTHON),.venv/bin/python) tools/kind/run_policies.py
