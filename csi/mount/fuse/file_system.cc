#include "csi/mount/fuse/file_system.h"

#include <algorithm>

#include "common/log.h"

namespace tarn::fuse {

namespace {
using std::chrono::steady_clock;
constexpr std::chrono::seconds kGroupsTtl{1};
constexpr size_t kGroupsCacheMax = 1024;
constexpr int kRefreshTries = 4;
constexpr std::chrono::seconds kFirstConnect{20};

bool IsDenial(Status status) {
  return status == NFS4ERR_ACCESS || status == NFS4ERR_PERM;
}
}  // namespace

FileSystem::FileSystem(const Options& options)
    : options_(options),
      client_(std::make_unique<Client>(options.server, options.connections, [this] {
        if (state_) state_->Suspect();
      })) {}

FileSystem::~FileSystem() {
  Stop();
  if (write_back_) write_back_->Stop();
  if (state_) state_->Stop();
}

void FileSystem::Stop() {
  client_->Stop();
  {
    std::lock_guard lock(locks_mutex_);
    stopping_ = true;
  }
  locks_wake_.notify_all();
  if (lock_thread_.joinable()) lock_thread_.join();
}

Result<std::unique_ptr<FileSystem>> FileSystem::Connect(const Options& options) {
  std::unique_ptr<FileSystem> made(new FileSystem(options));
  auto deadline = steady_clock::now() + kFirstConnect;
  std::string why = made->client_->Probe();
  while (!why.empty() && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    why = made->client_->Probe();
  }
  if (!why.empty()) {
    return Error(Code::kUnavailable, "--server: " + options.server.host + ":" +
                                         std::to_string(options.server.port) +
                                         " cannot be reached: " + why);
  }
  TRY(made->FindRoot());
  return made;
}

Result<void> FileSystem::FindRoot() {
  Caller root;
  Compound request;
  request.PutRootFh();
  for (const std::string& name : options_.path) request.Lookup(name);
  request.GetFh().GetAttr().GetServerInfo();
  Results results = client_->Run(root, request);
  results.Op(OP_PUTROOTFH);
  for (const std::string& name : options_.path) {
    results.Op(OP_LOOKUP);
    if (!results.ok()) {
      Code code = IsDenial(results.status()) ? Code::kDenied : Code::kNotFound;
      return Error(code, "--export: the server does not give \"" + name + "\" of " +
                             options_.source + ": " + StatusName(results.status()));
    }
  }
  FileHandle handle = results.GetFh();
  Attributes attributes = results.GetAttr();
  ServerInfo info = results.GetServerInfo();
  if (!results.ok()) {
    Code code = IsDenial(results.status()) ? Code::kDenied : Code::kUnavailable;
    return Error(code, "--export: the server refuses the root of " + options_.source + ": " +
                           StatusName(results.status()));
  }
  if (!S_ISDIR(attributes.stat.st_mode)) {
    return Error(Code::kNotDirectory, "--export: " + options_.source + " is not a directory");
  }
  auto clamp = [](uint64_t server, uint32_t wanted) {
    return static_cast<uint32_t>(std::max<uint64_t>(4096, std::min<uint64_t>(server, wanted)));
  };
  read_bytes_max_ = clamp(info.read_bytes_max, options_.read_bytes);
  nodes_ = std::make_unique<NodeTable>(handle, attributes);
  state_ = std::make_unique<State>(*client_, info.lease_seconds);
  write_back_ =
      std::make_unique<WriteBack>(*client_, clamp(info.write_bytes_max, options_.write_bytes));
  return Ok();
}

Caller FileSystem::CallerOf(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  Caller caller{{context->uid, context->gid, {}}, context->pid};
  if (options_.gid) caller.credential.gid = *options_.gid;
  if (options_.uid) {
    caller.credential.uid = *options_.uid;
    return caller;
  }
  auto now = steady_clock::now();
  {
    std::lock_guard lock(groups_mutex_);
    auto found = groups_.find(context->pid);
    if (found != groups_.end() && found->second.until > now && found->second.uid == context->uid &&
        found->second.gid == context->gid) {
      caller.credential.groups = found->second.groups;
      return caller;
    }
  }
  gid_t list[Credential::kGroupsMax];
  int count = fuse_req_getgroups(request, Credential::kGroupsMax, list);
  count = std::clamp<int>(count, 0, Credential::kGroupsMax);
  caller.credential.groups.assign(list, list + count);
  std::lock_guard lock(groups_mutex_);
  if (groups_.size() >= kGroupsCacheMax) groups_.clear();
  groups_[context->pid] = {context->uid, context->gid, caller.credential.groups, now + kGroupsTtl};
  return caller;
}

// Requests on an open file are its opener's (POSIX checks at open), and the kernel's own write-back
// has no user at all.
Caller FileSystem::CallerOf(fuse_req_t request, fuse_file_info* info) {
  if (info == nullptr || info->fh == 0) return CallerOf(request);
  return {FileOf(info).credential, fuse_req_ctx(request)->pid};
}

void FileSystem::Init(fuse_conn_info* connection) {
  auto want = [connection](unsigned cap, bool on) {
    if (on && (connection->capable & cap) != 0) connection->want |= cap;
    if (!on) connection->want &= ~cap;
  };
  want(FUSE_CAP_ASYNC_READ, true);
  want(FUSE_CAP_POSIX_LOCKS, true);
  want(FUSE_CAP_FLOCK_LOCKS, true);
  want(FUSE_CAP_READDIRPLUS, true);
  want(FUSE_CAP_READDIRPLUS_AUTO, true);
  want(FUSE_CAP_PARALLEL_DIROPS, true);
  want(FUSE_CAP_HANDLE_KILLPRIV, true);
  want(FUSE_CAP_ATOMIC_O_TRUNC, false);
  want(FUSE_CAP_WRITEBACK_CACHE, false);  // it would never show what others append
  want(FUSE_CAP_SPLICE_READ, false);
  // We know from change attributes what is ours; the kernel would guess from mtime.
  bool explicitly = (connection->capable & FUSE_CAP_EXPLICIT_INVAL_DATA) != 0;
  want(FUSE_CAP_EXPLICIT_INVAL_DATA, explicitly);
  want(FUSE_CAP_AUTO_INVAL_DATA, !explicitly);
  connection->max_read = std::min(1U << 20, std::max(4096U, read_bytes_max_));
  connection->max_write = 1U << 20;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
}

WriteBack::File FileSystem::BufferOf(Node& node, bool make) {
  std::lock_guard lock(node.mutex);
  if (!node.buffer && make) node.buffer = std::make_shared<WriteBuffer>(node.handle);
  return node.buffer;
}

// Were the attributes read before a write of ours arrived?
bool FileSystem::IsOld(Node& node, const Attributes& attributes) {
  WriteBack::File buffer = BufferOf(node, false);
  return buffer && (buffer->pending() || buffer->own_change() > attributes.change);
}

// Attributes that include everything written here.
Status FileSystem::Refresh(const Caller& caller, Node& node, Attributes& attributes) {
  Status status = NFS4_OK;
  for (int i = 0; i < kRefreshTries; ++i) {
    WriteBack::File buffer = BufferOf(node, false);
    if (buffer && write_back_->Flush(buffer, caller) == EINTR) return kInterrupted;
    Results results = client_->Run(caller, Compound().PutFh(node.handle).GetAttr());
    results.Op(OP_PUTFH);
    attributes = results.GetAttr();
    status = results.status();
    if (status != NFS4_OK || !IsOld(node, attributes)) break;
  }
  return status;
}

// Makes the kernel's page cache one of the content of that change: drops it when somebody else has
// changed the file. `by_us`: the change is known to be this client's own.
void FileSystem::MatchCache(Node& node, uint64_t change, bool by_us) {
  {
    std::lock_guard lock(node.mutex);
    bool own = by_us || node.cached == 0 || node.type != S_IFREG ||
               (node.buffer && node.buffer->own_change() == change);
    if (own) node.cached = change;
    if (node.cached == change) return;
  }
  if (session_ != nullptr) {
    fuse_lowlevel_notify_inval_inode(session_, nodes_->InoOf(node), 0, 0);
  }
  // Only now: until it was dropped, nobody must take the cache for current.
  std::lock_guard lock(node.mutex);
  node.cached = change;
}

// Call it with attributes that the kernel is about to get.
void FileSystem::Told(Node& node, const Attributes& attributes, bool by_us) {
  {
    std::lock_guard lock(node.mutex);
    node.told = attributes.change;
    node.known_size = static_cast<uint64_t>(attributes.stat.st_size);
    if (node.cached == 0) return;  // never opened
  }
  MatchCache(node, attributes.change, by_us);
}

void FileSystem::FillAttributes(Node& node, const Attributes& attributes, struct stat& stat) {
  stat = attributes.stat;
  stat.st_blksize = 1 << 20;
  std::lock_guard lock(node.mutex);
  if (node.silly && stat.st_nlink > 0) --stat.st_nlink;
}

Status FileSystem::FillEntry(const Caller& caller, const FileHandle& handle, Attributes attributes,
                             const FileHandle& directory, std::string_view name, bool by_us,
                             fuse_entry_param& entry) {
  Node& node = nodes_->Remember(handle, attributes);
  if (IsOld(node, attributes)) {
    Status status = Refresh(caller, node, attributes);
    if (status != NFS4_OK) return nodes_->Forget(nodes_->InoOf(node), 1), status;
  }
  {
    std::lock_guard lock(node.mutex);
    if (!node.silly) {
      node.directory = directory;
      node.name = name;
    }
  }
  Told(node, attributes, by_us);
  entry = {};
  entry.ino = nodes_->InoOf(node);
  entry.generation = 1;
  entry.attr_timeout = options_.attribute_seconds;
  entry.entry_timeout = options_.attribute_seconds;
  FillAttributes(node, attributes, entry.attr);
  return NFS4_OK;
}

void FileSystem::ReplyEntry(fuse_req_t request, const Caller& caller, const FileHandle& handle,
                            const Attributes& attributes, const FileHandle& directory,
                            std::string_view name) {
  fuse_entry_param entry;
  Status status = FillEntry(caller, handle, attributes, directory, name, false, entry);
  if (status != NFS4_OK) {
    fuse_reply_err(request, ErrnoOf(status));
    return;
  }
  // A reply to a request that was interrupted is lost, and with it the kernel's lookup.
  if (fuse_reply_entry(request, &entry) != 0) nodes_->Forget(entry.ino, 1);
}

std::string FileSystem::HiddenName(const Node& node) {
  return fmt::format(
      ".nfs{:016x}{:08x}{:04x}", node.fileid,
      std::hash<std::string>()(options_.mountpoint + std::to_string(getpid())) & 0xffffffff,
      hidden_++ & 0xffff);
}

// One open less; after the last, an unlinked file's hidden name goes.
void FileSystem::CloseNode(Node& node, bool released) {
  NodeTable::Hidden hidden = nodes_->Close(node, released);
  if (hidden.name.empty()) return;
  Caller remover{hidden.remover, 0};
  client_->Run(remover, Compound().PutFh(hidden.directory).Remove(hidden.name));
  nodes_->HiddenGone(hidden);
}

}  // namespace tarn::fuse
