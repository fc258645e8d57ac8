#!/usr/bin/env bash
# Makes the cluster's certificate authority, certificates and kubeconfigs in $PKI. ECDSA, made anew
# for each cluster.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mkdir -p "$PKI"; cd "$PKI"
umask 077
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
# certificate NAME SUBJECT [SUBJECT_ALT_NAMES]
certificate() {
  new_key "$1"
  { echo "keyUsage=digitalSignature,keyEncipherment"; echo "extendedKeyUsage=serverAuth,clientAuth"
    [ -z "${3-}" ] || echo "subjectAltName=$3"; } >"$1.ext"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.ext" \
      -out "$1.crt" 2>/dev/null
}
kubeconfig() { # kubeconfig NAME: for the certificate of that name
  cat >"$1.conf" <<CONF
apiVersion: v1
kind: Config
clusters:
- {name: $NAME, cluster: {server: "https://$GATEWAY:6443", certificate-authority: $PKI/ca.crt}}
users: [{name: $1, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
contexts: [{name: $NAME, context: {cluster: $NAME, user: $1}}]
current-context: $NAME
CONF
}
new_key ca
openssl req -x509 -new -key ca.key -subj "/CN=$NAME-ca" -days 3650 -out ca.crt
names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
certificate apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$GATEWAY,IP:10.96.0.1,$names"
certificate admin /O=system:masters/CN=admin
certificate controller-manager /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
certificate proxy /CN=system:kube-proxy
for n in $(seq "$NODES"); do
  certificate "node$n" "/O=system:nodes/CN=system:node:node$n" "IP:$(node_ip "$n"),DNS:node$n"
done
for who in admin controller-manager scheduler proxy $(seq -f 'node%g' "$NODES"); do
  kubeconfig "$who"
done
new_key service-account
openssl ec -in service-account.key -pubout -out service-account.pub 2>/dev/null
