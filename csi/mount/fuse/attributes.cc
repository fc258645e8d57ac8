// Attributes: stat, chmod and its kin, access, statfs.
#include <cerrno>

#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

void FileSystem::GetAttr(fuse_req_t request, fuse_ino_t ino) {
  Caller caller = CallerOf(request);
  Node& node = nodes_->At(ino);
  Attributes attributes;
  Status status = Refresh(caller, node, attributes);
  if (status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  Told(node, attributes, false);
  struct stat stat;
  FillAttributes(node, attributes, stat);
  fuse_reply_attr(request, &stat, options_.attribute_seconds);
}

void FileSystem::SetAttr(fuse_req_t request, fuse_ino_t ino, struct stat* stat, int to_set,
                         fuse_file_info* info) {
  using C = AttributeChange;
  // What an open descriptor may do (ftruncate) its opener may; the rest is the caller's.
  bool by_file =
      info != nullptr &&
      (to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME)) == 0;
  Caller caller = by_file ? CallerOf(request, info) : CallerOf(request);
  Node& node = nodes_->At(ino);
  C change;
  auto take = [&](int bit, uint32_t what) {
    if ((to_set & bit) != 0) change.set |= what;
  };
  take(FUSE_SET_ATTR_MODE, C::kMode);
  take(FUSE_SET_ATTR_UID, C::kUid);
  take(FUSE_SET_ATTR_GID, C::kGid);
  take(FUSE_SET_ATTR_SIZE, C::kSize);
  take(FUSE_SET_ATTR_ATIME, (to_set & FUSE_SET_ATTR_ATIME_NOW) != 0 ? C::kAtimeNow : C::kAtime);
  take(FUSE_SET_ATTR_MTIME, (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0 ? C::kMtimeNow : C::kMtime);
  change.mode = stat->st_mode & 07777;
  change.uid = stat->st_uid;
  change.gid = stat->st_gid;
  change.size = static_cast<uint64_t>(stat->st_size);
  change.atime = stat->st_atim;
  change.mtime = stat->st_mtim;
  // A truncate by path needs the right to write; servers let an owner without it change the size,
  // because they cannot tell this from ftruncate.
  if ((change.set & C::kSize) != 0 && info == nullptr) {
    Status status = CheckAccess(caller, node, ACCESS4_MODIFY);
    if (status != NFS4_OK) {
      fuse_reply_err(request, ErrnoOf(status));
      return;
    }
  }
  // Earlier writes come first, and stable: sent again after a restart they would undo the change.
  int error = write_back_->Sync(BufferOf(node, false), caller);
  if (error != 0) {
    fuse_reply_err(request, error);
    return;
  }
  Compound set;
  set.PutFh(node.handle);
  if (change.set != 0) set.SetAttr(change);
  set.GetAttr();
  Results results = client_->Run(caller, set);
  results.Op(OP_PUTFH);
  if (change.set != 0) results.SetAttr();
  Attributes attributes = results.GetAttr();
  if (!results.ok()) {
    fuse_reply_err(request, ErrnoOf(results.status()));
    return;
  }
  Told(node, attributes, true);
  struct stat now;
  FillAttributes(node, attributes, now);
  fuse_reply_attr(request, &now, options_.attribute_seconds);
}

void FileSystem::Access(fuse_req_t request, fuse_ino_t ino, int mask) {
  Node& node = nodes_->At(ino);
  bool directory = node.type == S_IFDIR;
  uint32_t wanted = 0;
  if ((mask & R_OK) != 0) wanted |= ACCESS4_READ;
  if ((mask & W_OK) != 0) wanted |= directory ? ACCESS4_EXTEND : ACCESS4_MODIFY;
  if ((mask & X_OK) != 0) wanted |= directory ? ACCESS4_LOOKUP : ACCESS4_EXECUTE;
  fuse_reply_err(request, ErrnoOf(CheckAccess(CallerOf(request), node, wanted)));
}

Status FileSystem::CheckAccess(const Caller& caller, const Node& node, uint32_t wanted) {
  uint32_t asked = wanted != 0 ? wanted : ACCESS4_READ;  // F_OK: is it there?
  Results results = client_->Run(caller, Compound().PutFh(node.handle).Access(asked));
  results.Op(OP_PUTFH);
  uint32_t granted = results.Access();
  if (!results.ok()) return results.status();
  return (granted & wanted) == wanted ? NFS4_OK : NFS4ERR_ACCESS;
}

void FileSystem::StatFs(fuse_req_t request) {
  Results results =
      client_->Run(CallerOf(request), Compound().PutFh(nodes_->At(FUSE_ROOT_ID).handle).GetSpace());
  results.Op(OP_PUTFH);
  struct statvfs space = results.GetSpace();
  if (results.ok()) {
    fuse_reply_statfs(request, &space);
  } else {
    fuse_reply_err(request, ErrnoOf(results.status()));
  }
}

}  // namespace tarn::fuse
