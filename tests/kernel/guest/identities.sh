# shellcheck shell=bash
# Runs in a client, started by init.sh: host/identities.sh.
mkdir -p /run/logs
mount -t devtmpfs dev /dev 2>/dev/null
TMPDIR=/run TARN_BIN=$T_BIN TARN_MOUNTER=kernel timeout 200 "$T_BIN/csi_e2e" --gtest_color=no \
  --gtest_filter='TlsE2E.One*:TlsE2E.Plain*:TlsE2E.AToken*:TlsE2E.MountsOutlive*' 2>&1
true
