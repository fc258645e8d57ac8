// Open files: open, read, write, flush, sync, release, allocate.
#include <algorithm>
#include <cerrno>

#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

namespace {
constexpr int kExecFlag = 0x20;  // FMODE_EXEC: the kernel opens it to run it
}

void FileSystem::StartFile(Node& node, const Caller& caller, fuse_file_info* info) {
  nodes_->Open(node);
  info->fh = reinterpret_cast<uint64_t>(new File{&node, caller.credential});
}

// Is this the kernel's second try of an open that was answered ESTALE? (The same thread comes again
// at once, after looking the path up anew.)
bool FileSystem::IsSecondTry(const Caller& caller, const Node& node) {
  std::lock_guard lock(asked_mutex_);
  auto found = asked_again_.find(caller.pid);
  if (found == asked_again_.end()) return false;
  bool same = found->second == &node;
  asked_again_.erase(found);
  return same;
}

Status FileSystem::AskAgain(const Caller& caller, const Node& node) {
  std::lock_guard lock(asked_mutex_);
  if (asked_again_.size() >= kAskedAgainMax) asked_again_.clear();
  asked_again_[caller.pid] = &node;
  return NFS4ERR_STALE;
}

// Close-to-open: asks whether the file still has the name that it was found by, whether the caller
// may open it so, and whether it changed. NFS4ERR_STALE makes the kernel look the path up again and
// open once more, which also brings it the new size.
Status FileSystem::CheckOpen(const Caller& caller, Node& node, int flags) {
  int mode = flags & O_ACCMODE;
  uint32_t wanted = 0;
  if (mode != O_WRONLY) wanted |= (flags & kExecFlag) != 0 ? ACCESS4_EXECUTE : ACCESS4_READ;
  if (mode != O_RDONLY) wanted |= ACCESS4_MODIFY;
  bool second = IsSecondTry(caller, node);
  FileHandle directory;
  std::string name;
  if (!second) {
    std::lock_guard lock(node.mutex);
    if (!node.silly) {
      directory = node.directory;
      name = node.name;
    }
  }
  Compound request;
  if (name.empty()) {
    request.PutFh(node.handle);
  } else {
    request.PutFh(directory).Lookup(name);
  }
  request.GetFh().GetAttr().Access(ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXTEND |
                                   ACCESS4_EXECUTE);
  Results results = client_->Run(caller, request);
  results.Op(OP_PUTFH);
  if (!name.empty()) results.Op(OP_LOOKUP);
  FileHandle handle = results.GetFh();
  Attributes attributes = results.GetAttr();
  uint32_t granted = results.Access();
  Status status = results.status();
  bool other = status == NFS4_OK && handle != node.handle;
  bool gone = status == NFS4ERR_NOENT || status == NFS4ERR_NOTDIR || status == NFS4ERR_STALE;
  if (!second && (other || gone)) return AskAgain(caller, node);
  if (status != NFS4_OK) return status;
  if ((granted & wanted) != wanted) return NFS4ERR_ACCESS;
  {
    std::lock_guard lock(node.mutex);
    uint64_t own = node.buffer ? node.buffer->own_change() : 0;
    bool ours = own >= attributes.change || (node.buffer && node.buffer->pending());
    if (!ours && !second && attributes.change != node.told) return AskAgain(caller, node);
    if (ours && own != attributes.change && node.cached != 0) return NFS4_OK;  // it will be told
  }
  MatchCache(node, attributes.change, false);
  return NFS4_OK;
}

void FileSystem::Open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  Caller caller = CallerOf(request);
  Node& node = nodes_->At(ino);
  Status status = CheckOpen(caller, node, info->flags);
  if (status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  StartFile(node, caller, info);
  info->keep_cache = 1;  // what is stale has been dropped
  if (fuse_reply_open(request, info) != 0) {
    delete &FileOf(info);
    CloseNode(node, false);
  }
}

void FileSystem::Read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                      fuse_file_info* info) {
  Caller caller = CallerOf(request, info);
  Node& node = nodes_->At(ino);
  auto at = static_cast<uint64_t>(offset);
  if (WriteBack::File buffer = BufferOf(node, false)) {
    uint64_t known_size = 0;
    {
      std::lock_guard lock(node.mutex);
      known_size = node.known_size;
    }
    if (write_back_->Covers(buffer, at, size, known_size)) write_back_->Flush(buffer, caller);
  }
  std::vector<Results> parts;
  std::vector<iovec> pieces;
  size_t done = 0;
  bool eof = false;
  while (done < size && !eof) {
    auto want = static_cast<uint32_t>(std::min<size_t>(size - done, read_bytes_max_));
    parts.push_back(client_->Run(caller, Compound().PutFh(node.handle).Read(at + done, want)));
    Results& results = parts.back();
    results.Op(OP_PUTFH);
    std::span<const char> data = results.Read(eof);
    if (!results.ok() || data.size() > want) {
      fuse_reply_err(request, results.ok() ? EIO : ErrnoOf(results.status()));
      return;
    }
    if (data.empty()) break;
    pieces.push_back({const_cast<char*>(data.data()), data.size()});
    done += data.size();
  }
  if (pieces.size() <= 1) {
    fuse_reply_buf(request, pieces.empty() ? nullptr : static_cast<char*>(pieces[0].iov_base),
                   done);
  } else {
    fuse_reply_iov(request, pieces.data(), static_cast<int>(pieces.size()));
  }
}

// Where an O_APPEND write really goes: to the end at the server, which may be past what the kernel
// knows. When nothing of ours is under way, the server is asked.
int FileSystem::AppendOffset(const Caller& caller, Node& node, off_t& offset) {
  WriteBack::File buffer = BufferOf(node, true);
  if (buffer->pending()) return 0;
  Results results = client_->Run(caller, Compound().PutFh(node.handle).GetAttr());
  results.Op(OP_PUTFH);
  Attributes attributes = results.GetAttr();
  if (!results.ok()) return ErrnoOf(results.status());
  if (attributes.stat.st_size <= offset) return 0;
  offset = attributes.stat.st_size;
  return 0;
}

void FileSystem::Write(fuse_req_t request, fuse_ino_t ino, const char* data, size_t size,
                       off_t offset, fuse_file_info* info) {
  Caller caller = CallerOf(request, info);
  Node& node = nodes_->At(ino);
  off_t wanted = offset;
  int error = 0;
  if ((info->flags & O_APPEND) != 0 && info->writepage == 0) {
    error = AppendOffset(caller, node, offset);
  }
  WriteBack::File buffer = BufferOf(node, true);
  if (error == 0) {
    error = write_back_->Write(buffer, caller, static_cast<uint64_t>(offset), {data, size});
  }
  if (error == 0 && (info->flags & O_DIRECT) != 0) error = write_back_->Flush(buffer, caller);
  if (error != 0) {
    fuse_reply_err(request, error);
    return;
  }
  fuse_reply_write(request, size);
  if (offset != wanted && session_ != nullptr) {
    // The kernel has put the data at its own offset into its pages, which it locks until the reply.
    fuse_lowlevel_notify_inval_inode(session_, ino, 0, 0);
  }
}

void FileSystem::Flush(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  Caller caller = CallerOf(request, info);
  Node& node = nodes_->At(ino);
  int error = write_back_->Sync(BufferOf(node, false), caller);
  // A closed descriptor lets go of its process's locks, even of one that is being killed.
  state_->ReleaseLocks(Caller{caller.credential, 0}, node.handle, info->lock_owner);
  fuse_reply_err(request, error);
}

void FileSystem::Sync(fuse_req_t request, fuse_ino_t ino) {
  Caller caller = CallerOf(request);
  fuse_reply_err(request, write_back_->Sync(BufferOf(nodes_->At(ino), false), caller));
}

void FileSystem::Release(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  Node& node = nodes_->At(ino);
  File* file = &FileOf(info);
  Caller caller{file->credential, 0};
  nodes_->Releasing(node);
  // Pages of a memory map may have been written after the last close.
  write_back_->Sync(BufferOf(node, false), caller);
  if (info->flock_release != 0) state_->ReleaseLocks(caller, node.handle, ~info->lock_owner);
  delete file;
  fuse_reply_err(request, 0);
  CloseNode(node, true);
}

// mode 0: makes the file long enough, if the server has the room. NFS 4.0 can reserve nothing.
void FileSystem::Allocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
                          fuse_file_info* info) {
  if (mode != 0) {
    fuse_reply_err(request, EOPNOTSUPP);
    return;
  }
  Caller caller = CallerOf(request, info);
  Node& node = nodes_->At(ino);
  int error = write_back_->Sync(BufferOf(node, false), caller);
  Results results = client_->Run(caller, Compound().PutFh(node.handle).GetAttr().GetSpace());
  results.Op(OP_PUTFH);
  Attributes attributes = results.GetAttr();
  struct statvfs space = results.GetSpace();
  if (error == 0) error = ErrnoOf(results.status());
  off_t missing = offset + length - attributes.stat.st_size;
  if (error == 0 && missing > 0) {
    if (static_cast<uint64_t>(missing) / space.f_frsize >= space.f_bavail) {
      fuse_reply_err(request, ENOSPC);
      return;
    }
    AttributeChange change;
    change.set = AttributeChange::kSize;
    change.size = static_cast<uint64_t>(offset + length);
    Results set = client_->Run(caller, Compound().PutFh(node.handle).SetAttr(change).GetAttr());
    set.Op(OP_PUTFH);
    set.SetAttr();
    attributes = set.GetAttr();
    error = ErrnoOf(set.status());
    if (error == 0) Told(node, attributes, true);
  }
  fuse_reply_err(request, error);
}

}  // namespace tarn::fuse
