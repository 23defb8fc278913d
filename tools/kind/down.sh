#!/usr/bin/env bash
# Delete the cluster, with everything in it.
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
kind delete cluster --name "$cluster"
