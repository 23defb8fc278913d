#!/usr/bin/env bash
# What the kind targets need, checked before anything is started; says how to get what is missing.
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

missing=0
need() { # PROGRAM WHERE
  command -v "$1" >/dev/null || { echo "missing: $1  ($2)" >&2; missing=1; }
}
need docker https://docs.docker.com/engine/install/
need kind https://kind.sigs.k8s.io/docs/user/quick-start/#installation
need kubectl https://kubernetes.io/docs/tasks/tools/
need helm https://helm.sh/docs/intro/install/
[ "$missing" = 0 ] || exit 1
docker info >/dev/null 2>&1 || die "docker does not answer: is it running, and may you use it?"

case $(helm version --template '{{.Version}}' 2>/dev/null) in
  v3.1[7-9].* | v3.[2-9][0-9].* | v4.0.* | v4.1.* | v4.[3-9].*) ;;
  v4.2.*) echo "warning: Helm 4.2 has known faults in --wait and hooks (helm#32224, #32214); use 4.3 or later" >&2 ;;
  *) echo "warning: Helm $(helm version --short) is untested here; 3.17 or later, or 4.3 or later" >&2 ;;
esac

for service in "${services[@]}"; do
  [ -f "services/$service/requirements.txt" ] || die "services/$service/requirements.txt is missing: make lock"
done

# Too few of these and pods die with "too many open files" (kind#2586). One node does with less; three do not.
watches=$(cat /proc/sys/fs/inotify/max_user_watches 2>/dev/null || echo 524288)
instances=$(cat /proc/sys/fs/inotify/max_user_instances 2>/dev/null || echo 512)
if [ "$watches" -lt 65536 ] || [ "$instances" -lt 128 ]; then
  echo "warning: few inotify handles (watches $watches, instances $instances). If pods report too many open files:" >&2
  echo "    sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512" >&2
fi
