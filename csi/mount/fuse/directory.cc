// Directories. READDIR runs of up to kRunBytes are kept with the open directory and handed to the
// kernel in its small portions. Offsets: 0 and 1 are before "." and "..", every other one is the
// server's cookie (which is never 1 or 2, RFC 7530 section 16.24.4).
#include <cerrno>

#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

namespace {
constexpr uint32_t kRunBytes = 256U << 10;
constexpr uint32_t kFirstRunBytes = 32U << 10;  // many directories are small
}  // namespace

void FileSystem::OpenDir(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  Results results = client_->Run(CallerOf(request),
                                 Compound().PutFh(nodes_->At(ino).handle).Access(ACCESS4_READ));
  results.Op(OP_PUTFH);
  uint32_t granted = results.Access();
  if (!results.ok() || (granted & ACCESS4_READ) == 0) {
    fuse_reply_err(request, results.ok() ? EACCES : ErrnoOf(results.status()));
    return;
  }
  auto* directory = new Directory;
  info->fh = reinterpret_cast<uint64_t>(directory);
  if (fuse_reply_open(request, info) != 0) delete directory;
}

Status FileSystem::FillRun(const Caller& caller, const FileHandle& handle, Directory& directory,
                           uint64_t cookie, bool plus) {
  uint32_t bytes = cookie == 0 ? kFirstRunBytes : std::min(kRunBytes, read_bytes_max_);
  for (int tries = 0;; ++tries) {
    if (cookie == 0) directory.verifier = {};
    Results results = client_->Run(
        caller, Compound().PutFh(handle).ReadDir(cookie, directory.verifier, bytes, plus));
    results.Op(OP_PUTFH);
    directory.entries.clear();
    directory.next = 0;
    Verifier verifier = results.ReadDir(directory.entries, directory.eof);
    if (results.status() == NFS4ERR_NOT_SAME && tries == 0) {
      directory.verifier = {};  // of the server before it restarted
      continue;
    }
    if (!results.ok()) return results.status();
    directory.verifier = verifier;
    directory.start = cookie;
    directory.plus = plus;
    return NFS4_OK;
  }
}

// Returns the bytes that the entry took, or 0 when it does not fit.
size_t FileSystem::AddEntry(fuse_req_t request, const Caller& caller, Node& parent,
                            const DirectoryEntry& entry, uint64_t next, bool plus,
                            std::span<char> room) {
  const char* name = entry.name.c_str();
  const Attributes& attributes = entry.attributes;
  if (!plus) {
    size_t size = fuse_add_direntry(request, room.data(), room.size(), name, &attributes.stat,
                                    static_cast<off_t>(next));
    return size > room.size() ? 0 : size;
  }
  if (fuse_add_direntry_plus(request, nullptr, 0, name, nullptr, 0) > room.size()) return 0;
  fuse_entry_param full = {};
  full.attr = attributes.stat;
  bool known = attributes.error == NFS4_OK && !attributes.handle.empty();
  if (known) {
    Status status =
        FillEntry(caller, attributes.handle, attributes, parent.handle, entry.name, false, full);
    if (status != NFS4_OK) {
      full = {};  // only its name: the kernel will ask when it wants more
      full.attr.st_ino = attributes.stat.st_ino;
      full.attr.st_mode = attributes.stat.st_mode;
    }
  }
  return fuse_add_direntry_plus(request, room.data(), room.size(), name, &full,
                                static_cast<off_t>(next));
}

// Fills `out` and returns how much of it; NFS4_OK with nothing is the end.
Status FileSystem::CollectEntries(fuse_req_t request, Node& node, Directory& directory, uint64_t at,
                                  bool plus, std::span<char> out, size_t& used) {
  Caller caller = CallerOf(request);
  std::lock_guard lock(directory.mutex);
  for (; at < 2; ++at) {
    DirectoryEntry dot;
    dot.name = at == 0 ? "." : "..";
    dot.attributes.stat.st_ino = node.fileid;
    dot.attributes.stat.st_mode = S_IFDIR;
    size_t took = AddEntry(request, caller, node, dot, at + 1, plus, out.subspan(used));
    if (took == 0) return NFS4_OK;
    used += took;
  }
  uint64_t cookie = at == 2 ? 0 : at;
  for (;;) {
    auto& entries = directory.entries;
    uint64_t position = directory.next == 0 ? directory.start : entries[directory.next - 1].cookie;
    bool usable = !entries.empty() && position == cookie && directory.plus == plus;
    if (usable && directory.next == entries.size()) {
      if (directory.eof) return NFS4_OK;
      usable = false;
    }
    if (!usable) {
      Status status = FillRun(caller, node.handle, directory, cookie, plus);
      if (status != NFS4_OK) return used > 0 ? NFS4_OK : status;
      if (entries.empty()) return NFS4_OK;
    }
    const DirectoryEntry& entry = entries[directory.next];
    size_t took = AddEntry(request, caller, node, entry, entry.cookie, plus, out.subspan(used));
    if (took == 0) return NFS4_OK;
    used += took;
    cookie = entry.cookie;
    ++directory.next;
  }
}

void FileSystem::ReadDir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                         fuse_file_info* info, bool plus) {
  auto& directory = *reinterpret_cast<Directory*>(info->fh);
  std::vector<char> out(size);
  size_t used = 0;
  Status status = CollectEntries(request, nodes_->At(ino), directory, static_cast<uint64_t>(offset),
                                 plus, out, used);
  // The directory may be released as soon as the kernel has its reply.
  if (status == NFS4_OK) {
    fuse_reply_buf(request, out.data(), used);
  } else {
    fuse_reply_err(request, ErrnoOf(status));
  }
}

}  // namespace tarn::fuse
