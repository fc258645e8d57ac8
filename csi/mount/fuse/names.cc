// Names: lookup, making, removing, renaming, linking.
//
// After a lost connection a request is sent again, and the server may have executed it before. What
// such a request finds (the name exists, or is gone) is then compared with what it would have made.
#include <cerrno>

#include "csi/mount/fuse/file_system.h"

namespace tarn::fuse {

namespace {

timespec Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

bool IsSame(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

mode_t TypeOf(nfs_ftype4 type) {
  switch (type) {
    case NF4DIR:
      return S_IFDIR;
    case NF4LNK:
      return S_IFLNK;
    case NF4BLK:
      return S_IFBLK;
    case NF4CHR:
      return S_IFCHR;
    case NF4SOCK:
      return S_IFSOCK;
    default:
      return S_IFIFO;
  }
}

// What one LOOKUP finds.
struct Found {
  FileHandle handle;
  Attributes attributes;
  Status status = NFS4_OK;
};

Found Find(Client& client, const Caller& caller, const FileHandle& directory,
           std::string_view name) {
  Found found;
  Results results = client.Run(caller, Compound().PutFh(directory).Lookup(name).GetFh().GetAttr());
  results.Op(OP_PUTFH);
  results.Op(OP_LOOKUP);
  found.handle = results.GetFh();
  found.attributes = results.GetAttr();
  found.status = results.status();
  return found;
}

}  // namespace

void FileSystem::Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Caller caller = CallerOf(request);
  const FileHandle& directory = nodes_->At(parent).handle;
  Found found = Find(*client_, caller, directory, name);
  if (found.status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(found.status));
    return;
  }
  ReplyEntry(request, caller, found.handle, found.attributes, directory, name);
}

// Is the object of that name the one that our request made? Its access time is the mark that the
// request carried, unique to the nanosecond.
bool FileSystem::IsOurs(const Caller& caller, const FileHandle& directory, std::string_view name,
                        nfs_ftype4 type, const timespec& mark, FileHandle& handle,
                        Attributes& attributes) {
  Found found = Find(*client_, caller, directory, name);
  handle = found.handle;
  attributes = found.attributes;
  return found.status == NFS4_OK && (attributes.stat.st_mode & S_IFMT) == TypeOf(type) &&
         IsSame(attributes.stat.st_atim, mark);
}

void FileSystem::Make(fuse_req_t request, fuse_ino_t parent, const char* name, nfs_ftype4 type,
                      mode_t mode, dev_t rdev, const char* target) {
  Caller caller = CallerOf(request);
  const FileHandle& directory = nodes_->At(parent).handle;
  AttributeChange change;
  change.set = AttributeChange::kAtime;
  change.atime = Now();
  if (type != NF4LNK) {
    change.set |= AttributeChange::kMode;
    change.mode = mode & 07777;
  }
  for (;;) {
    Compound create;
    create.PutFh(directory).Create(type, name, target, rdev, change).GetFh().GetAttr();
    Results results = client_->Run(caller, create);
    results.Op(OP_PUTFH);
    results.Create();
    Status status = results.status();
    FileHandle handle = results.GetFh();
    Attributes attributes = results.GetAttr();
    bool made = results.ok();
    if (status == NFS4ERR_EXIST && results.retransmitted) {
      made = IsOurs(caller, directory, name, type, change.atime, handle, attributes);
    }
    if ((status == NFS4ERR_ATTRNOTSUPP || status == NFS4ERR_INVAL) &&
        (change.set & AttributeChange::kAtime) != 0) {
      change.set &= ~AttributeChange::kAtime;  // a server that takes no access time here
      continue;
    }
    if (made) return ReplyEntry(request, caller, handle, attributes, directory, name);
    fuse_reply_err(request, ErrnoOf(results.status()));
    return;
  }
}

void FileSystem::Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
                        fuse_file_info* info) {
  Caller caller = CallerOf(request);
  const FileHandle& directory = nodes_->At(parent).handle;
  AttributeChange change;
  change.set = AttributeChange::kMode;
  change.mode = mode & 07777;
  bool exclusive = (info->flags & O_EXCL) != 0;
  if (!exclusive && (info->flags & O_TRUNC) != 0) {
    change.set |= AttributeChange::kSize;
    change.size = 0;
  }
  State::Created created;
  Status status =
      state_->Create(caller, directory, name,
                     exclusive ? CreateHow::kExclusive : CreateHow::kUnchecked, change, created);
  fuse_entry_param entry;
  if (status == NFS4_OK) {
    status = FillEntry(caller, created.handle, created.attributes, directory, name, true, entry);
  }
  if (status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  Node& node = nodes_->At(entry.ino);
  StartFile(node, caller, info);
  info->keep_cache = 1;
  {
    std::lock_guard lock(node.mutex);
    node.cached = node.told;
  }
  if (fuse_reply_create(request, &entry, info) != 0) {
    delete &FileOf(info);
    CloseNode(node, false);
    nodes_->Forget(entry.ino, 1);
  }
}

void FileSystem::MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
                          dev_t rdev) {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return Make(request, parent, name, NF4FIFO, mode, 0, "");
    case S_IFSOCK:
      return Make(request, parent, name, NF4SOCK, mode, 0, "");
    case S_IFBLK:
      return Make(request, parent, name, NF4BLK, mode, rdev, "");
    case S_IFCHR:
      return Make(request, parent, name, NF4CHR, mode, rdev, "");
    case 0:
    case S_IFREG:
      break;
    default:
      fuse_reply_err(request, EINVAL);
      return;
  }
  Caller caller = CallerOf(request);
  const FileHandle& directory = nodes_->At(parent).handle;
  AttributeChange change;
  change.set = AttributeChange::kMode;
  change.mode = mode & 07777;
  State::Created created;
  Status status = state_->Create(caller, directory, name, CreateHow::kExclusive, change, created);
  if (status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  ReplyEntry(request, caller, created.handle, created.attributes, directory, name);
}

// The node of that name when it is a file that is open here, pinned; else null.
Node* FileSystem::PinTarget(const Caller& caller, const FileHandle& directory, const char* name) {
  if (!nodes_->any_open()) return nullptr;
  Found found = Find(*client_, caller, directory, name);
  if (found.status != NFS4_OK || S_ISDIR(found.attributes.stat.st_mode)) return nullptr;
  return nodes_->PinOpen(found.handle);
}

// Keeps an open file that is about to lose its name under a hidden one, until its last close. By a
// link when another file takes the name, so that the name is never gone; else by a rename.
Status FileSystem::Hide(const Caller& caller, Node& node, const FileHandle& directory,
                        const char* name, bool by_link) {
  std::string hidden = HiddenName(node);
  Compound request;
  if (by_link) {
    request.PutFh(node.handle).SaveFh().PutFh(directory).Link(hidden);
  } else {
    request.PutFh(directory).SaveFh().PutFh(directory).Rename(name, hidden);
  }
  Results results = client_->Run(caller, request);
  results.Op(OP_PUTFH);
  results.Op(OP_SAVEFH);
  results.Op(OP_PUTFH);
  by_link ? results.Link() : results.Rename();
  Status status = results.status();
  bool twice = results.retransmitted && (status == NFS4ERR_EXIST || status == NFS4ERR_NOENT);
  if (twice && Find(*client_, caller, directory, hidden).handle == node.handle) status = NFS4_OK;
  if (status != NFS4_OK) return status;
  nodes_->Hide(node, {directory, hidden, caller.credential});
  return NFS4_OK;
}

// The directory of that name is not empty: is that because of hidden names of ours that are about
// to go? The kernel sends RELEASE some time after close() has returned, so a program that closed
// its files and then removes the directory must not meet them.
bool FileSystem::HiddenLeft(const Caller& caller, const FileHandle& parent, const char* name,
                            uint64_t gone_before) {
  Found found = Find(*client_, caller, parent, name);
  return found.status == NFS4_OK && nodes_->AwaitHidden(found.handle, gone_before, kHiddenPatience);
}

void FileSystem::Remove(fuse_req_t request, fuse_ino_t parent, const char* name, bool directory) {
  Caller caller = CallerOf(request);
  const FileHandle& from = nodes_->At(parent).handle;
  Node* open = directory ? nullptr : PinTarget(caller, from, name);
  if (open != nullptr) {
    bool hidden = false;
    {
      std::lock_guard lock(open->mutex);
      hidden = open->silly;
    }
    Status status = hidden ? NFS4_OK : Hide(caller, *open, from, name, false);
    CloseNode(*open, false);
    if (!hidden) {
      fuse_reply_err(request, ErrnoOf(status));
      return;
    }
  }
  Status status = NFS4_OK;
  uint64_t gone = 0;
  do {
    gone = nodes_->hidden_gone();
    Results results = client_->Run(caller, Compound().PutFh(from).Remove(name));
    results.Op(OP_PUTFH);
    results.Remove();
    status = results.status();
    if (status == NFS4ERR_NOENT && results.retransmitted) status = NFS4_OK;
  } while (status == NFS4ERR_NOTEMPTY && HiddenLeft(caller, from, name, gone));
  fuse_reply_err(request, ErrnoOf(status));
}

Status FileSystem::RenameOnce(const Caller& caller, const FileHandle& from, const char* name,
                              const FileHandle& to, const char* new_name) {
  Compound request;
  request.PutFh(from).SaveFh().PutFh(to).Rename(name, new_name);
  request.Lookup(new_name).GetFh().GetAttr();
  Results results = client_->Run(caller, request);
  results.Op(OP_PUTFH);
  results.Op(OP_SAVEFH);
  results.Op(OP_PUTFH);
  results.Rename();
  Status status = results.status();
  results.Op(OP_LOOKUP);
  FileHandle moved = results.GetFh();
  Attributes attributes = results.GetAttr();
  if (status == NFS4ERR_NOENT && results.retransmitted) {
    // Done before, if what we moved is there now.
    FileHandle expected = nodes_->FindByName(from, name);
    Found found = Find(*client_, caller, to, new_name);
    if (found.status == NFS4_OK && !expected.empty() && found.handle == expected) {
      moved = found.handle;
      attributes = found.attributes;
      status = NFS4_OK;
    }
  }
  if (status != NFS4_OK || attributes.change == 0) return status;
  Node& node = nodes_->Remember(moved, attributes);
  {
    std::lock_guard lock(node.mutex);
    if (!node.silly) {
      node.directory = to;
      node.name = new_name;
    }
    // Our rename moved the change attribute; the content is as it was.
    if (node.cached != 0) node.cached = attributes.change;
    if (node.told != 0) node.told = attributes.change;
  }
  nodes_->Forget(nodes_->InoOf(node), 1);
  return NFS4_OK;
}

void FileSystem::Rename(fuse_req_t request, fuse_ino_t parent, const char* name,
                        fuse_ino_t new_parent, const char* new_name, unsigned flags) {
  Caller caller = CallerOf(request);
  const FileHandle& from = nodes_->At(parent).handle;
  const FileHandle& to = nodes_->At(new_parent).handle;
  constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE
  if ((flags & ~kNoReplace) != 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  if ((flags & kNoReplace) != 0) {
    Status status = Find(*client_, caller, to, new_name).status;
    if (status != NFS4ERR_NOENT) {
      fuse_reply_err(request, status == NFS4_OK ? EEXIST : ErrnoOf(status));
      return;
    }
  }
  Node* replaced = PinTarget(caller, to, new_name);
  Status status = NFS4_OK;
  if (replaced != nullptr && replaced->handle != nodes_->FindByName(from, name)) {
    bool hidden = false;
    {
      std::lock_guard lock(replaced->mutex);
      hidden = replaced->silly;
    }
    if (!hidden) status = Hide(caller, *replaced, to, new_name, true);
  }
  if (status == NFS4_OK) {
    uint64_t gone = 0;
    do {
      gone = nodes_->hidden_gone();
      status = RenameOnce(caller, from, name, to, new_name);
    } while (status == NFS4ERR_NOTEMPTY && HiddenLeft(caller, to, new_name, gone));
  }
  if (replaced != nullptr) CloseNode(*replaced, false);
  fuse_reply_err(request, ErrnoOf(status));
}

void FileSystem::Link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  Caller caller = CallerOf(request);
  Node& node = nodes_->At(ino);
  const FileHandle& directory = nodes_->At(parent).handle;
  if (WriteBack::File buffer = BufferOf(node, false)) write_back_->Flush(buffer, caller);
  Compound link;
  link.PutFh(node.handle).SaveFh().PutFh(directory).Link(name).RestoreFh().GetAttr();
  Results results = client_->Run(caller, link);
  results.Op(OP_PUTFH);
  results.Op(OP_SAVEFH);
  results.Op(OP_PUTFH);
  results.Link();
  Status status = results.status();
  results.Op(OP_RESTOREFH);
  Attributes attributes = results.GetAttr();
  if (status == NFS4ERR_EXIST && results.retransmitted) {
    Found found = Find(*client_, caller, directory, name);
    if (found.status == NFS4_OK && found.handle == node.handle) {
      status = NFS4_OK;
      attributes = found.attributes;
    }
  }
  if (status == NFS4_OK && attributes.change == 0) status = results.status();
  if (status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  {
    std::lock_guard lock(node.mutex);
    if (node.cached != 0) node.cached = attributes.change;
  }
  ReplyEntry(request, caller, node.handle, attributes, directory, name);
}

void FileSystem::ReadLink(fuse_req_t request, fuse_ino_t ino) {
  Results results =
      client_->Run(CallerOf(request), Compound().PutFh(nodes_->At(ino).handle).ReadLink());
  results.Op(OP_PUTFH);
  std::string target = results.ReadLink();
  if (results.ok()) {
    fuse_reply_readlink(request, target.c_str());
  } else {
    fuse_reply_err(request, ErrnoOf(results.status()));
  }
}

}  // namespace tarn::fuse
