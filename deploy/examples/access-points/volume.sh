#!/bin/sh
# volume.sh ACCESSPOINT | kubectl apply -f -: a PersistentVolume and a claim of that AccessPoint, in
# the current namespace.
set -eu
name=$1
id='{.status.fileSystemId}::{.status.accessPointId}'
handle=$(kubectl get accesspoint "$name" -o "jsonpath=$id")
cat <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: tarn-$name}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  csi: {driver: efs.csi.tarn.dev, volumeHandle: "$handle"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $name}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: tarn-$name
  resources: {requests: {storage: 5Gi}}
YAML
