# shellcheck shell=bash
# Sourced by the scripts beside it: the names and versions that they share. Each may come from the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cluster=${KIND_CLUSTER:-platform}
version=${VERSION:-v1}
gateway_port=${KIND_GATEWAY_PORT:-8080}
console_port=${KIND_CONSOLE_PORT:-8081}
services=(payment-gateway risk-engine data-pipeline)
official_images=(postgres:18 redis:8)
# For kind alone, and only where the cluster has no metrics API: the autoscalers need one.
metrics_server=https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.8.1/components.yaml

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
k() { kubectl --context "kind-$cluster" "$@"; }
