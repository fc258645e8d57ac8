#!/bin/bash
# One of the clients of the soak: tarn-file-load works through the kills of the server; then all is
# compared once more, by a mount of its own that knows nothing of before.
. "$T_HERE/guest/lib.sh"
set +e
VERS=$T_VERS
results=$T_WORK/results-soak-$T_ID
options=
[ "$T_ID" != 4 ] || options=nconnect=4

result() { echo "$1 soak: client $T_ID (vers=$VERS${options:+,$options}): $2" >>"$results"; }
outcome() { if "${@:2}"; then result PASS "$1"; else result FAIL "$1"; fi; }

# What the kernel said of NFS, but that it has loaded it. It says "lost locks" also of locks that
# somebody was just asking for when it reclaimed; a lock that is really lost gives EIO.
said_always='RPC: Registered|NFS: Registering|Layout Driver Registering|FS-Cache'
said_always+='|Command line:|Kernel command|lost [0-9]+ locks'
kernel_is_content() {
  ! dmesg | grep -iE 'nfs|rpc|lockd|bug:|warning:|stall|hung|blocked|i/o error' |
    grep -vE "$said_always" | grep .
}

nfs_mount / /run/nfs $options || { result FAIL "mounts"; exit 0; }
mkdir -p /run/nfs/shared
"$T_BIN/tarn-file-load" --mount /run/nfs --host "$T_WORK/soak" --state /run --client "$T_ID" \
  --clients "$T_CLIENTS" --vers "$T_VERS" --seed "$T_SEED" &
load=$!
touch "$T_WORK/soak-ready-$T_ID"
until [ -e /run/load-idle ]; do nap 0.1; done
outcome "unmounts" timeout 60 umount /run/nfs
touch "$T_WORK/soak-idle-$T_ID"
until [ -e "$T_WORK/soak-verify" ]; do nap 0.1; done
nfs_mount / /run/nfs $options || result FAIL "mounts again"
touch /run/load-verify
outcome "no error, and every byte is there" wait $load
outcome "unmounts in the end" timeout 60 umount /run/nfs
outcome "the kernel has nothing to say" kernel_is_content
exit 0
