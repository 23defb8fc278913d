#!/usr/bin/env bash
# A kind cluster from kind-config.yaml with the images of one version in it. Safe to run again.
#   KIND_CLUSTER, KIND_CONFIG, KIND_NODE_IMAGE, KIND_GATEWAY_PORT, KIND_CONSOLE_PORT, VERSION, KUBECONFIG
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
tools/kind/preflight.sh

if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
  say "cluster $cluster is there"
  kind export kubeconfig --name "$cluster" >/dev/null 2>&1
else
  say "creating cluster $cluster (gateway on 127.0.0.1:$gateway_port, console on 127.0.0.1:$console_port)"
  sed -e "s/hostPort: 8080/hostPort: $gateway_port/" -e "s/hostPort: 8081/hostPort: $console_port/" "${KIND_CONFIG:-kind-config.yaml}" |
    kind create cluster --name "$cluster" ${KIND_NODE_IMAGE:+--image "$KIND_NODE_IMAGE"} --wait 180s --config -
fi

# Every pod of the platform passes the strictest Pod Security level; here the cluster holds it to that.
k label namespace default pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null

if ! k get apiservice v1beta1.metrics.k8s.io >/dev/null 2>&1; then
  say "installing metrics-server (the autoscalers read it)"
  k apply -f "$metrics_server" >/dev/null
  # kind's kubelets have self-signed certificates
  k --namespace kube-system patch deployment metrics-server --type json \
    --patch '[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--kubelet-insecure-tls"}]' >/dev/null
fi

for image in "${official_images[@]}"; do
  docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image"
done
tools/kind/load.sh "${official_images[@]}"
say "ready:  helm install platform ./umbrella-chart --wait --timeout 5m"
