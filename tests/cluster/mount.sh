# Sourced by tests/cluster/run.sh, as cases.sh: the mount helper on a node, where nothing was
# configured for it. The volume, the policy and the namespaces are those of security.sh.
# shellcheck shell=bash
HELPER_DIR=$STATE/helper
USER_ARN=arn:aws:iam::000000000000:user

# mount(8) looks for mount.efs in /sbin: there, on the node alone.
install_helper() {
  mkdir -p "$HELPER_DIR/sbin"
  ln -sf "$PWD/build/release/bin/mount.tarn" "$HELPER_DIR/sbin/mount.efs"
  in_node 2 mount -t overlay overlay -o "lowerdir=$HELPER_DIR/sbin:/usr/sbin" /usr/sbin
}
remove_helper() {
  local place
  for place in "$HELPER_DIR"/at.*; do in_node 2 umount -q "$place"; done
  in_node 2 umount /usr/sbin
  eventually 200 no_watcher || { fail "mount.tarn --watch outlives the last mount"; return 1; }
  rm -rf "$HELPER_DIR"
}
watchers() { # the node's, not the machine's or another cluster's
  pgrep --ns "$(cat "$PIDS/node2")" --nslist mnt -f '^mount.tarn --watch$'
}
no_watcher() { ! watchers; }

fs_of() { cut -d: -f2 <<<"$1"; }  # fs_of HANDLE: the id of its file system
# helper_as NAME OPTIONS COMMAND...: mounts the access point at HELPER_DIR/at.NAME by that command.
helper_as() {
  local name=$1 options=$2 volume; shift 2
  volume=$(handle)
  mkdir -p "$HELPER_DIR/at.$name"
  in_node 2 env "AWS_SHARED_CREDENTIALS_FILE=$HELPER_DIR/credentials" "$@" "$(fs_of "$volume"):/" \
    "$HELPER_DIR/at.$name" -o "tls,iam,accesspoint=${volume##*:},$options"
}
# The ServiceAccount "default" of a namespace.
by_token() { # by_token NAMESPACE COMMAND...
  local space=$1; shift
  in_space "$space" create token default --audience tarn.dev >"$HELPER_DIR/token.$space"
  helper_as "$space" "jwtpath=$HELPER_DIR/token.$space" "$@"
}
by_key() { helper_as "$1" "awsprofile=$1" mount -t efs; }  # by_key PROFILE
on_node() { in_node 2 sh -c "$1" 2>&1; }

give_keys() { # three users, each with an access key, that the server knows
  local user keys=
  for user in writer reader stranger; do
    printf '[%s]\naws_access_key_id = AKIA%s\naws_secret_access_key = secret-of-%s\n' \
      $user $user $user >>"$HELPER_DIR/credentials"
    keys+=${keys:+,}$(printf '{"id": "AKIA%s", "secret": "secret-of-%s", "principal": "%s/%s"}' \
      $user $user $USER_ARN $user)
  done
  kn create secret generic helper-keys --from-literal \
    "access-keys.json={\"accessKeys\": [$keys]}" >/dev/null &&
    kn patch filesystem secured --type merge \
      -p '{"spec": {"accessKeysSecretRef": {"name": "helper-keys"}}}' >/dev/null
}
key_policy() { # as policy of security.sh, for users of access keys
  policy writer reader | sed -E "s#\"ServiceAccount\": \"(\w+)\"#\"AWS\": \"$USER_ARN/\1\"#"
}

case_mount_helper_three_identities_one_policy() {
  make_secured || return 1
  { install_helper && give_keys; } || { fail "cannot install the helper"; return 1; }
  helper_by_token && helper_by_key
  local status=$?
  remove_helper || status=1
  remove_secured
  kn delete secret helper-keys >/dev/null
  return $status
}

# three_outcomes A B: A may write, B reads alone.
three_outcomes() {
  on_node "echo hello >$HELPER_DIR/at.$1/file" || { fail "$1 cannot write"; return 1; }
  [ "$(on_node "cat $HELPER_DIR/at.$2/file")" = hello ] || { fail "$2 cannot read"; return 1; }
  [[ $(on_node "echo no >$HELPER_DIR/at.$2/other") == *Read-only* ]] ||
    { fail "$2 may write, or is told something else"; return 1; }
}
refused() { # refused NAME COMMAND...
  local said status name=$1; shift
  said=$("$@" 2>&1); status=$?
  [ $status = 32 ] || { fail "$name is not refused ($status): $said"; return 1; }
  [[ $said == *"access denied by the server"* ]] || { fail "$name is told '$said'"; return 1; }
  echo "    ${said:0:200}"
}

helper_by_token() {
  eventually 30 in_node 2 test -s /run/tarn/nfs-ca.crt ||
    { fail "the node plugin does not write the authority"; return 1; }
  nodes_know "$(fs_of "$(handle)")" || return 1
  by_token sec-a mount -t efs || { fail "a cannot mount"; return 1; }
  by_token sec-b mount.efs || { fail "b cannot mount"; return 1; }
  three_outcomes sec-a sec-b && refused sec-c by_token sec-c mount -t efs || return 1
  [ "$(watchers | wc -l)" = 1 ] || fail "not one process watches"
}
helper_by_key() {
  kn patch filesystem secured --type merge -p "$(key_policy | python3 -c 'import json, sys
print(json.dumps({"spec": {"policy": sys.stdin.read()}}))')" >/dev/null
  # Kubelet takes its time to give the server the file of keys.
  eventually 180 by_key writer || { fail "the user with a key cannot mount"; return 1; }
  by_key reader || { fail "the reader cannot mount"; return 1; }
  three_outcomes writer reader && refused stranger by_key stranger
}
