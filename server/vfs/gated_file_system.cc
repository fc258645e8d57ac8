#include "server/vfs/gated_file_system.h"

namespace tarn::vfs {

GatedFileSystem::Pass::Pass(const GatedFileSystem& gate) : gate_(gate) {
  if (!gate_.open()) return;  // so that those who try again keep nobody who closes it waiting
  counted_ = true;
  // In this order, as Close does the two in the other: one of both sees the other.
  gate_.running_.fetch_add(1);
  inner_ = gate_.inner_.load();
}

GatedFileSystem::Pass::~Pass() {
  if (!counted_) return;
  if (gate_.running_.fetch_sub(1) > 1 || gate_.inner_.load() != nullptr) return;
  std::lock_guard lock(gate_.mutex_);
  gate_.drained_.notify_all();
}

GatedFileSystem::GatedFileSystem(Error closed, bool released)
    : closed_(std::move(closed)), verifier_(0), released_(released) {}

Error GatedFileSystem::LockedError(LockReason reason) {
  if (reason == LockReason::kKeyTakenAway) {
    return Error(Code::kDenied, "the file system is locked: its key was taken away");
  }
  return Error(Code::kUnavailable, "the file system is locked: its key is not there yet");
}

void GatedFileSystem::Open(FileSystem& inner, bool fresh) {
  std::lock_guard pins(pins_mutex_);
  for (FileId file : std::exchange(missed_unpins_, {})) {
    if (!fresh) inner.Unpin(file);
  }
  if (fresh) {
    for (auto& [file, count] : pins_) {
      // One that is gone is kStale for its holder, too.
      for (uint32_t i = 0; i < count; ++i) (void)inner.Pin(file);
    }
  }
  bool missed = std::exchange(missed_release_, false);
  if (fresh ? released_ : missed) (void)inner.ReleaseOrphans();
  inner_ = &inner;
}

void GatedFileSystem::Close(Error why) {
  std::unique_lock lock(mutex_);
  closed_ = std::move(why);
  FileSystem* inner = inner_.load();
  if (inner == nullptr) return;
  verifier_ = inner->WriteVerifier();
  inner_ = nullptr;
  drained_.wait(lock, [this] { return running_.load() == 0; });
}

void GatedFileSystem::ForgetPins() {
  std::lock_guard pins(pins_mutex_);
  pins_.clear();
  missed_unpins_.clear();
  released_ = missed_release_ = false;
}

Error GatedFileSystem::Closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

template <typename R, typename... Parameters, typename... Arguments>
R GatedFileSystem::Through(R (FileSystem::*call)(Parameters...), Arguments&&... arguments) {
  Pass pass(*this);
  if (pass.get() == nullptr) return Closed();
  return (pass.get()->*call)(std::forward<Arguments>(arguments)...);
}

Result<void> GatedFileSystem::Pin(FileId file) {
  Pass pass(*this);
  if (pass.get() == nullptr) return Closed();
  TRY(pass.get()->Pin(file));
  std::lock_guard pins(pins_mutex_);
  ++pins_[file];
  return Ok();
}

void GatedFileSystem::Unpin(FileId file) {
  for (;;) {
    Pass pass(*this);
    std::unique_lock pins(pins_mutex_);
    if (pass.get() == nullptr && open()) continue;  // since then
    auto found = pins_.find(file);
    if (found != pins_.end() && --found->second == 0) pins_.erase(found);
    if (pass.get() == nullptr) {
      missed_unpins_.push_back(file);
      return;
    }
    pins.unlock();
    return pass.get()->Unpin(file);
  }
}

Result<void> GatedFileSystem::ReleaseOrphans() {
  for (;;) {
    Pass pass(*this);
    std::unique_lock pins(pins_mutex_);
    if (pass.get() == nullptr && open()) continue;  // since then
    released_ = true;
    missed_release_ = pass.get() == nullptr;
    pins.unlock();
    return pass.get() != nullptr ? pass.get()->ReleaseOrphans() : Ok();
  }
}

uint64_t GatedFileSystem::WriteVerifier() const {
  Pass pass(*this);
  return pass.get() != nullptr ? pass.get()->WriteVerifier() : verifier_.load();
}

Result<FileId> GatedFileSystem::RealmRoot(RealmId realm) {
  return Through(&FileSystem::RealmRoot, realm);
}

Result<Attributes> GatedFileSystem::Lookup(const Caller& caller, FileId directory,
                                           std::string_view name) {
  return Through(&FileSystem::Lookup, caller, directory, name);
}

Result<Attributes> GatedFileSystem::LookupParent(const Caller& caller, FileId directory) {
  return Through(&FileSystem::LookupParent, caller, directory);
}

Result<Created> GatedFileSystem::Create(const Caller& caller, FileId directory,
                                        std::string_view name, const CreateOptions& options) {
  return Through(&FileSystem::Create, caller, directory, name, options);
}

Result<DirectoryChange> GatedFileSystem::Link(const Caller& caller, FileId file, FileId directory,
                                              std::string_view name) {
  return Through(&FileSystem::Link, caller, file, directory, name);
}

Result<DirectoryChange> GatedFileSystem::Remove(const Caller& caller, FileId directory,
                                                std::string_view name) {
  return Through(&FileSystem::Remove, caller, directory, name);
}

Result<FileSystem::Renamed> GatedFileSystem::Rename(const Caller& caller, FileId source_directory,
                                                    std::string_view source_name,
                                                    FileId target_directory,
                                                    std::string_view target_name) {
  return Through(&FileSystem::Rename, caller, source_directory, source_name, target_directory,
                 target_name);
}

Result<bool> GatedFileSystem::ReadDirectory(const Caller& caller, FileId directory, uint64_t cookie,
                                            bool with_attributes, const DirectoryVisitor& visit) {
  return Through(&FileSystem::ReadDirectory, caller, directory, cookie, with_attributes, visit);
}

Result<std::string> GatedFileSystem::ReadSymlink(const Caller& caller, FileId symlink) {
  return Through(&FileSystem::ReadSymlink, caller, symlink);
}

Result<Attributes> GatedFileSystem::GetAttributes(const Caller& caller, FileId file) {
  return Through(&FileSystem::GetAttributes, caller, file);
}

Result<Attributes> GatedFileSystem::SetAttributes(const Caller& caller, FileId file,
                                                  const AttributeChange& change) {
  return Through(&FileSystem::SetAttributes, caller, file, change);
}

Result<Attributes> GatedFileSystem::Open(const Caller& caller, FileId file, bool read, bool write) {
  return Through(&FileSystem::Open, caller, file, read, write);
}

Result<ReadResult> GatedFileSystem::Read(const Caller& caller, FileId file, bool opened,
                                         uint64_t offset, std::span<std::byte> buffer) {
  return Through(&FileSystem::Read, caller, file, opened, offset, buffer);
}

Result<WriteResult> GatedFileSystem::Write(const Caller& caller, FileId file, bool opened,
                                           uint64_t offset, std::span<const std::byte> data,
                                           Stability stability) {
  return Through(&FileSystem::Write, caller, file, opened, offset, data, stability);
}

Result<void> GatedFileSystem::Commit(const Caller& caller, FileId file, uint64_t offset,
                                     uint64_t length) {
  return Through(&FileSystem::Commit, caller, file, offset, length);
}

Result<void> GatedFileSystem::Allocate(const Caller& caller, FileId file, bool opened,
                                       uint64_t offset, uint64_t length) {
  return Through(&FileSystem::Allocate, caller, file, opened, offset, length);
}

Result<void> GatedFileSystem::Deallocate(const Caller& caller, FileId file, bool opened,
                                         uint64_t offset, uint64_t length) {
  return Through(&FileSystem::Deallocate, caller, file, opened, offset, length);
}

Result<SeekResult> GatedFileSystem::Seek(const Caller& caller, FileId file, bool opened,
                                         uint64_t offset, ExtentKind what) {
  return Through(&FileSystem::Seek, caller, file, opened, offset, what);
}

Result<void> GatedFileSystem::Clone(const Caller& caller, const DataPlace& source,
                                    const DataPlace& target, uint64_t length) {
  return Through(&FileSystem::Clone, caller, source, target, length);
}

Result<uint64_t> GatedFileSystem::Copy(const Caller& caller, const DataPlace& source,
                                       const DataPlace& target, uint64_t length) {
  return Through(&FileSystem::Copy, caller, source, target, length);
}

Result<std::string> GatedFileSystem::GetXattr(const Caller& caller, FileId file,
                                              std::string_view name) {
  return Through(&FileSystem::GetXattr, caller, file, name);
}

Result<FileChange> GatedFileSystem::SetXattr(const Caller& caller, FileId file,
                                             std::string_view name, std::string_view value,
                                             XattrMode mode) {
  return Through(&FileSystem::SetXattr, caller, file, name, value, mode);
}

Result<bool> GatedFileSystem::ListXattrs(const Caller& caller, FileId file, uint64_t cookie,
                                         const XattrVisitor& visit) {
  return Through(&FileSystem::ListXattrs, caller, file, cookie, visit);
}

Result<FileChange> GatedFileSystem::RemoveXattr(const Caller& caller, FileId file,
                                                std::string_view name) {
  return Through(&FileSystem::RemoveXattr, caller, file, name);
}

Result<void> GatedFileSystem::ForgetReplays(std::string_view prefix) {
  return Through(&FileSystem::ForgetReplays, prefix);
}

Result<RealmId> GatedFileSystem::EnsureRealm(std::string_view path,
                                             const std::optional<CreationInfo>& creation) {
  return Through(&FileSystem::EnsureRealm, path, creation);
}

Result<void> GatedFileSystem::SetQuota(RealmId realm, const Quota& quota) {
  return Through(&FileSystem::SetQuota, realm, quota);
}

Result<SpaceInfo> GatedFileSystem::GetSpace(RealmId realm) {
  return Through(&FileSystem::GetSpace, realm);
}

Result<void> GatedFileSystem::RemoveRealm(RealmId realm, bool delete_data) {
  return Through(&FileSystem::RemoveRealm, realm, delete_data);
}

Result<uint64_t> GatedFileSystem::Check(const std::function<void(std::string_view)>& report) {
  return Through(&FileSystem::Check, report);
}

Result<ScrubCounts> GatedFileSystem::Scrub(const ScrubPace& pace,
                                           const std::function<void(std::string_view)>& report) {
  bool closed = false;
  auto while_open = [&](uint64_t bytes) {
    if (!pace(bytes)) return false;
    closed = !open();
    return !closed;
  };
  auto counts = Through(&FileSystem::Scrub, ScrubPace(while_open), report);
  if (!counts.ok() && closed) return Closed();
  return counts;
}

}  // namespace tarn::vfs
