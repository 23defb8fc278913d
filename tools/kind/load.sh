#!/usr/bin/env bash
# Build the three services' images as VERSION and load them into the cluster.  load.sh [further image...]
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
tools/kind/preflight.sh
kind get clusters 2>/dev/null | grep -qx "$cluster" || die "no cluster $cluster: make kind-up"

images=("$@")
for service in "${services[@]}"; do
  say "building $service:$version"
  # No attestations: kind cannot load an image whose index names a manifest that is not there (kind#3795).
  BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --quiet --file "services/$service/Dockerfile" --tag "$service:$version" \
    ${PYTHON_IMAGE:+--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"} . >/dev/null
  images+=("$service:$version")
done

say "loading ${images[*]} into $cluster"
if ! kind load docker-image --name "$cluster" "${images[@]}"; then
  # Docker's containerd store and kind do not always agree (kind#3795, #3996); an archive always does.
  archive=$(mktemp --suffix .tar)
  trap 'rm -f "$archive"' EXIT
  docker save --output "$archive" "${images[@]}"
  kind load image-archive --name "$cluster" "$archive"
fi
