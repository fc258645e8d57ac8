# shellcheck shell=bash
# Real work on real trees.

case_tar_of_a_source_tree() {
  tar -xf "$T_WORK/tree.tar"
  drop_caches
  sha256sum --quiet -c "$T_WORK/tree.sums"
  same dangling headers/no-such-file "$(readlink dangling)"
  same files "$(wc -l <"$T_WORK/tree.sums")" "$(find . -type f | wc -l)"
  peer "sha256sum --quiet -c '$T_WORK/tree.sums'" || fail "the other client sees something else"
  rm -rf headers
}

case_git_clone_and_fsck() {
  git clone -q "$T_WORK/repository.git" clone
  cd clone || fail 'no clone'
  git fsck --full --strict
  same status "" "$(git status --porcelain)"
  echo change >>README.md
  git -c user.name=a -c user.email=a@b commit -qam change
  git gc -q
  drop_caches
  git fsck --full
  same commits "$(git -C "$T_WORK/repository.git" rev-list --count HEAD)" \
    "$(git rev-list --count HEAD~1)"
}
