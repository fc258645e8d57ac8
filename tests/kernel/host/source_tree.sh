# shellcheck shell=bash
# What `tar x` unpacks: this repository's files and a good many small headers. Made once, however
# many suites ask for it.
make_source_tree() {
  local tree=$WORK/tree
  [ ! -e "$WORK/repository.git" ] || return 0
  mkdir -p "$tree/headers" && git -c safe.directory='*' archive HEAD | tar -C "$tree" -x &&
    (cd /usr/include && find . -name '*.h' -size -100k | sort >"$WORK/headers" &&
      sed "$((600 * SCALE))q" "$WORK/headers" | xargs cp --parents -t "$tree/headers") &&
    ln -s headers/no-such-file "$tree/dangling" && chmod 755 "$tree/hack" &&
    (cd "$tree" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$WORK/tree.sums" &&
    tar -C "$tree" -cf "$WORK/tree.tar" . &&
    git -c safe.directory='*' clone -q --bare --no-local . "$WORK/repository.git"
}
