#!/bin/bash
# Init of a client. The root is the machine's own: nothing may be written but to /run, which is a
# tmpfs here, to T_WORK and to what is mounted. Runs guest/T_MAIN, then ends the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkfifo /run/never
mkdir -p /run/tmp /run/home /run/modules/lib/modules
export TMPDIR=/run/tmp HOME=/run/home LC_ALL=C
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/modules/lib/modules/$(uname -r)"
for module in $(modprobe --show-depends -d /run/modules nfsv4 | awk '/^insmod/ {print $2}'); do
  insmod "$module" 2>/dev/null
done
# Clients of one name would be one client to an NFSv4.1 server.
hostname "client$T_ID"
ip link set lo up
ip link set vec0 up
ip addr add "$T_ADDRESS/24" dev vec0
cd /run || exit
bash "$T_HERE/guest/$T_MAIN" && touch "$T_WORK/done-$T_ID"
sync
poweroff -f
