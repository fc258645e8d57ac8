#!/usr/bin/env bash
# manifests.sh          writes what follows from other files: the chart's copies of crds/, and
#                       deploy/kubernetes/ from the chart
# manifests.sh --check  only says what differs
# Needs helm in PATH, or that of hack/cluster.sh (which builds it, from its sources, at first use).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
case ${1-} in '' | --check) ;; *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
check=${1-}

find_helm() {
  command -v helm && return
  . hack/cluster/common.sh
  [ -x "$BIN/helm" ] || hack/cluster.sh build >&2
  echo "$BIN/helm"
}
helm=$(find_helm)
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT

head_of() { # head_of WHAT
  printf '# %s\n# Made by hack/manifests.sh from charts/tarn: change that, not this.\n' "$1"
}
mkdir -p "$out/crds" "$out/kubernetes"
cp crds/*.yaml "$out/crds"
{
  head_of 'Tarn in the namespace kube-system, as Helm would install it there. First: crds.yaml.'
  # For clusters of any age, and without what only Helm's own releases have.
  "$helm" template tarn charts/tarn --namespace kube-system --set crds.install=false \
    --kube-version 1.34 |
    sed -e '/^# Source: /d' -e '/app.kubernetes.io\/managed-by: Helm$/d'
} >"$out/kubernetes/tarn.yaml"
{
  head_of 'The custom resources.'
  for file in crds/*.yaml; do
    echo ---
    grep -v -e '^  annotations:$' -e 'helm.sh/resource-policy' "$file"
  done
} >"$out/kubernetes/crds.yaml"
cat >"$out/kubernetes/kustomization.yaml" <<YAML
# kubectl apply -k deploy/kubernetes
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [crds.yaml, tarn.yaml]
YAML

differs=0
place() { # place FROM TO: FROM is what TO should be
  if diff -ru --new-file "$2" "$1" >"$out/diff"; then return; fi
  if [ -n "$check" ]; then
    differs=1; echo "manifests: $2 is not what hack/manifests.sh makes:"; head -n 20 "$out/diff"
  else
    rm -rf "$2"; mkdir -p "$(dirname "$2")"; cp -r "$1" "$2"; echo "manifests: $2 is written"
  fi
}
place "$out/crds" charts/tarn/files/crds
place "$out/kubernetes" deploy/kubernetes
exit $differs
