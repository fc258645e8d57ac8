#!/usr/bin/env bash
# Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler in the network namespace
# $NAME.
set -euo pipefail
. "$(dirname "$0")/common.sh"

ip netns add "$NAME"
in_control ip link set lo up
in_control ip link add nodes type bridge
in_control ip addr add "$GATEWAY/24" dev nodes
in_control ip link set nodes up
in_control sysctl -qw net.ipv4.ip_forward=1

# No fsync: this cluster is for one sitting, and etcd's would be most of the disk's work.
start etcd control etcd --name "$NAME" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
  --initial-cluster "$NAME=http://127.0.0.1:2380"
wait_for etcd 60 in_control curl -sf --max-time 2 http://127.0.0.1:2379/health
start apiserver control kube-apiserver --etcd-servers http://127.0.0.1:2379 \
  --advertise-address "$GATEWAY" --secure-port 6443 --service-cluster-ip-range "$SERVICE_CIDR" \
  --client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/apiserver.crt" \
  --tls-private-key-file "$PKI/apiserver.key" --authorization-mode Node,RBAC \
  --enable-admission-plugins NodeRestriction --allow-privileged=true \
  --service-account-key-file "$PKI/service-account.pub" \
  --service-account-signing-key-file "$PKI/service-account.key" \
  --service-account-issuer https://kubernetes.default.svc \
  --kubelet-preferred-address-types InternalIP \
  --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-client-certificate "$PKI/admin.crt" \
  --kubelet-client-key "$PKI/admin.key"
wait_for kube-apiserver 120 in_control kubectl get --raw /readyz
start controller-manager control kube-controller-manager --leader-elect=false \
  --kubeconfig "$PKI/controller-manager.conf" --use-service-account-credentials=true \
  --root-ca-file "$PKI/ca.crt" --service-account-private-key-file "$PKI/service-account.key" \
  --cluster-cidr "$POD_CIDR" --bind-address 127.0.0.1 --flex-volume-plugin-dir "$STATE/flexvolume"
start scheduler control kube-scheduler --kubeconfig "$PKI/scheduler.conf" --leader-elect=false \
  --bind-address 127.0.0.1
wait_for kube-controller-manager 60 in_control kubectl -n default get serviceaccount default
