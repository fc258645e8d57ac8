// The table that libfuse calls.
#include <cerrno>

#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

struct Adapter {
  using R = fuse_req_t;
  using I = fuse_ino_t;
  using F = fuse_file_info*;
  static FileSystem& Fs(R request) { return FileSystem::Of(request); }
  static FileSystem::Directory* DirectoryOf(F info) {
    return reinterpret_cast<FileSystem::Directory*>(info->fh);
  }

  static void Init(void* data, fuse_conn_info* connection) {
    static_cast<FileSystem*>(data)->Init(connection);
  }
  static void Lookup(R r, I parent, const char* name) { Fs(r).Lookup(r, parent, name); }
  static void Forget(R r, I ino, uint64_t lookups) {
    Fs(r).nodes_->Forget(ino, lookups);
    fuse_reply_none(r);
  }
  static void ForgetMany(R r, size_t count, fuse_forget_data* list) {
    for (size_t i = 0; i < count; ++i) Fs(r).nodes_->Forget(list[i].ino, list[i].nlookup);
    fuse_reply_none(r);
  }
  static void GetAttr(R r, I ino, F) { Fs(r).GetAttr(r, ino); }
  static void SetAttr(R r, I ino, struct stat* stat, int to_set, F info) {
    Fs(r).SetAttr(r, ino, stat, to_set, info);
  }
  static void ReadLink(R r, I ino) { Fs(r).ReadLink(r, ino); }
  static void MakeNode(R r, I parent, const char* name, mode_t mode, dev_t rdev) {
    Fs(r).MakeNode(r, parent, name, mode, rdev);
  }
  static void MakeDirectory(R r, I parent, const char* name, mode_t mode) {
    Fs(r).Make(r, parent, name, NF4DIR, mode, 0, "");
  }
  static void SymLink(R r, const char* target, I parent, const char* name) {
    Fs(r).Make(r, parent, name, NF4LNK, 0777, 0, target);
  }
  static void Unlink(R r, I parent, const char* name) { Fs(r).Remove(r, parent, name, false); }
  static void RemoveDirectory(R r, I parent, const char* name) {
    Fs(r).Remove(r, parent, name, true);
  }
  static void Rename(R r, I parent, const char* name, I new_parent, const char* new_name,
                     unsigned flags) {
    Fs(r).Rename(r, parent, name, new_parent, new_name, flags);
  }
  static void Link(R r, I ino, I parent, const char* name) { Fs(r).Link(r, ino, parent, name); }
  static void Open(R r, I ino, F info) { Fs(r).Open(r, ino, info); }
  static void Create(R r, I parent, const char* name, mode_t mode, F info) {
    Fs(r).Create(r, parent, name, mode, info);
  }
  static void Read(R r, I ino, size_t size, off_t offset, F info) {
    Fs(r).Read(r, ino, size, offset, info);
  }
  static void Write(R r, I ino, const char* data, size_t size, off_t offset, F info) {
    Fs(r).Write(r, ino, data, size, offset, info);
  }
  static void Flush(R r, I ino, F info) { Fs(r).Flush(r, ino, info); }
  static void Sync(R r, I ino, int, F) { Fs(r).Sync(r, ino); }
  static void Release(R r, I ino, F info) { Fs(r).Release(r, ino, info); }
  static void Allocate(R r, I ino, int mode, off_t offset, off_t length, F info) {
    Fs(r).Allocate(r, ino, mode, offset, length, info);
  }
  static void OpenDir(R r, I ino, F info) { Fs(r).OpenDir(r, ino, info); }
  static void ReadDir(R r, I ino, size_t size, off_t offset, F info) {
    Fs(r).ReadDir(r, ino, size, offset, info, false);
  }
  static void ReadDirPlus(R r, I ino, size_t size, off_t offset, F info) {
    Fs(r).ReadDir(r, ino, size, offset, info, true);
  }
  static void ReleaseDir(R r, I, F info) {
    delete DirectoryOf(info);
    fuse_reply_err(r, 0);
  }
  // Directory changes are stable before their replies (RFC 7530 section 16.36 is of data).
  static void SyncDir(R r, I, int, F) { fuse_reply_err(r, 0); }
  static void StatFs(R r, I) { Fs(r).StatFs(r); }
  static void Access(R r, I ino, int mask) { Fs(r).Access(r, ino, mask); }
  static void GetLock(R r, I ino, F info, struct flock* lock) { Fs(r).GetLock(r, ino, info, lock); }
  static void SetLock(R r, I ino, F info, struct flock* lock, int sleep) {
    Fs(r).SetLock(r, ino, info, lock, sleep != 0);
  }
  static void FLock(R r, I ino, F info, int op) { Fs(r).FLock(r, ino, info, op); }
};

// What is not here (extended attributes, ioctl, lseek, copy_file_range) libfuse answers with
// ENOSYS; the kernel remembers that and answers by itself from then on.
const fuse_lowlevel_ops& FileSystem::Operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops ops = {};
    ops.init = Adapter::Init;
    ops.lookup = Adapter::Lookup;
    ops.forget = Adapter::Forget;
    ops.forget_multi = Adapter::ForgetMany;
    ops.getattr = Adapter::GetAttr;
    ops.setattr = Adapter::SetAttr;
    ops.readlink = Adapter::ReadLink;
    ops.mknod = Adapter::MakeNode;
    ops.mkdir = Adapter::MakeDirectory;
    ops.symlink = Adapter::SymLink;
    ops.unlink = Adapter::Unlink;
    ops.rmdir = Adapter::RemoveDirectory;
    ops.rename = Adapter::Rename;
    ops.link = Adapter::Link;
    ops.open = Adapter::Open;
    ops.create = Adapter::Create;
    ops.read = Adapter::Read;
    ops.write = Adapter::Write;
    ops.flush = Adapter::Flush;
    ops.fsync = Adapter::Sync;
    ops.release = Adapter::Release;
    ops.fallocate = Adapter::Allocate;
    ops.opendir = Adapter::OpenDir;
    ops.readdir = Adapter::ReadDir;
    ops.readdirplus = Adapter::ReadDirPlus;
    ops.releasedir = Adapter::ReleaseDir;
    ops.fsyncdir = Adapter::SyncDir;
    ops.statfs = Adapter::StatFs;
    ops.access = Adapter::Access;
    ops.getlk = Adapter::GetLock;
    ops.setlk = Adapter::SetLock;
    ops.flock = Adapter::FLock;
    return ops;
  }();
  return operations;
}

}  // namespace tarn::fuse
