# shellcheck shell=bash
# Runs in a client, started by init.sh: host/identities.sh.
mkdir -p /run/logs
mount -t devtmpfs dev /dev 2>/dev/null
cases='TlsE2E.One*:TlsE2E.Plain*:TlsE2E.AToken*:TlsE2E.MountsOutlive*:MountHelperE2E.*'
TMPDIR=/run TARN_BIN=$T_BIN TARN_MOUNTER=kernel timeout 380 "$T_BIN/csi_e2e" --gtest_color=no \
  --gtest_filter="$cases" 2>&1
true
