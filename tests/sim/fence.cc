#include "tests/sim/fence.h"

namespace tarn::sim {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Error Dead() {
  return Error(Code::kIo, "the server is dead");
}

class FencedFileSystem : public FileSystem {
 public:
  FencedFileSystem(FileSystem& over, Fence& fence) : over_(over), fence_(fence) {}

  Result<FileId> RealmRoot(RealmId realm) override { return over_.RealmRoot(realm); }
  Result<Attributes> Lookup(const Caller& caller, FileId directory,
                            std::string_view name) override {
    return Read([&] { return over_.Lookup(caller, directory, name); });
  }
  Result<Attributes> LookupParent(const Caller& caller, FileId directory) override {
    return Read([&] { return over_.LookupParent(caller, directory); });
  }
  Result<Created> Create(const Caller& caller, FileId directory, std::string_view name,
                         const CreateOptions& options) override {
    return Change([&] { return over_.Create(caller, directory, name, options); });
  }
  Result<DirectoryChange> Link(const Caller& caller, FileId file, FileId directory,
                               std::string_view name) override {
    return Change([&] { return over_.Link(caller, file, directory, name); });
  }
  Result<DirectoryChange> Remove(const Caller& caller, FileId directory,
                                 std::string_view name) override {
    return Change([&] { return over_.Remove(caller, directory, name); });
  }
  Result<Renamed> Rename(const Caller& caller, FileId from, std::string_view name, FileId to,
                         std::string_view new_name) override {
    return Change([&] { return over_.Rename(caller, from, name, to, new_name); });
  }
  Result<bool> ReadDirectory(const Caller& caller, FileId directory, uint64_t cookie,
                             bool with_attributes, const DirectoryVisitor& visit) override {
    return Read(
        [&] { return over_.ReadDirectory(caller, directory, cookie, with_attributes, visit); });
  }
  Result<std::string> ReadSymlink(const Caller& caller, FileId symlink) override {
    return Read([&] { return over_.ReadSymlink(caller, symlink); });
  }
  Result<Attributes> GetAttributes(const Caller& caller, FileId file) override {
    return Read([&] { return over_.GetAttributes(caller, file); });
  }
  Result<Attributes> SetAttributes(const Caller& caller, FileId file,
                                   const AttributeChange& change) override {
    return Change([&] { return over_.SetAttributes(caller, file, change); });
  }
  Result<Attributes> Open(const Caller& caller, FileId file, bool read, bool write) override {
    return Read([&] { return over_.Open(caller, file, read, write); });
  }
  Result<void> Pin(FileId file) override {
    return Read([&] { return over_.Pin(file); });
  }
  void Unpin(FileId file) override {
    if (fence_.Step()) over_.Unpin(file);
  }
  Result<void> ReleaseOrphans() override {
    return Change([&] { return over_.ReleaseOrphans(); });
  }
  Result<ReadResult> Read(const Caller& caller, FileId file, bool opened, uint64_t offset,
                          std::span<std::byte> buffer) override {
    return Read([&] { return over_.Read(caller, file, opened, offset, buffer); });
  }
  Result<WriteResult> Write(const Caller& caller, FileId file, bool opened, uint64_t offset,
                            std::span<const std::byte> data, Stability stability) override {
    return Change([&] { return over_.Write(caller, file, opened, offset, data, stability); });
  }
  Result<void> Commit(const Caller& caller, FileId file, uint64_t offset,
                      uint64_t length) override {
    return Change([&] { return over_.Commit(caller, file, offset, length); });
  }
  Result<void> Allocate(const Caller& caller, FileId file, bool opened, uint64_t offset,
                        uint64_t length) override {
    return Change([&] { return over_.Allocate(caller, file, opened, offset, length); });
  }
  Result<void> Deallocate(const Caller& caller, FileId file, bool opened, uint64_t offset,
                          uint64_t length) override {
    return Change([&] { return over_.Deallocate(caller, file, opened, offset, length); });
  }
  Result<SeekResult> Seek(const Caller& caller, FileId file, bool opened, uint64_t offset,
                          ExtentKind what) override {
    return Read([&] { return over_.Seek(caller, file, opened, offset, what); });
  }
  Result<void> Clone(const Caller& caller, const DataPlace& source, const DataPlace& target,
                     uint64_t length) override {
    return Change([&] { return over_.Clone(caller, source, target, length); });
  }
  Result<uint64_t> Copy(const Caller& caller, const DataPlace& source, const DataPlace& target,
                        uint64_t length) override {
    return Change([&] { return over_.Copy(caller, source, target, length); });
  }
  Result<std::string> GetXattr(const Caller& caller, FileId file, std::string_view name) override {
    return Read([&] { return over_.GetXattr(caller, file, name); });
  }
  Result<FileChange> SetXattr(const Caller& caller, FileId file, std::string_view name,
                              std::string_view value, XattrMode mode) override {
    return Change([&] { return over_.SetXattr(caller, file, name, value, mode); });
  }
  Result<bool> ListXattrs(const Caller& caller, FileId file, uint64_t cookie,
                          const XattrVisitor& visit) override {
    return Read([&] { return over_.ListXattrs(caller, file, cookie, visit); });
  }
  Result<FileChange> RemoveXattr(const Caller& caller, FileId file,
                                 std::string_view name) override {
    return Change([&] { return over_.RemoveXattr(caller, file, name); });
  }
  uint64_t WriteVerifier() const override { return over_.WriteVerifier(); }
  Result<void> ForgetReplays(std::string_view prefix) override {
    return Change([&] { return over_.ForgetReplays(prefix); });
  }
  Result<RealmId> EnsureRealm(std::string_view path,
                              const std::optional<CreationInfo>& creation) override {
    return Change([&] { return over_.EnsureRealm(path, creation); });
  }
  Result<void> SetQuota(RealmId realm, const Quota& quota) override {
    return Change([&] { return over_.SetQuota(realm, quota); });
  }
  Result<SpaceInfo> GetSpace(RealmId realm) override {
    return Read([&] { return over_.GetSpace(realm); });
  }
  Result<void> RemoveRealm(RealmId realm, bool delete_data) override {
    return Change([&] { return over_.RemoveRealm(realm, delete_data); });
  }
  Result<uint64_t> Check(const std::function<void(std::string_view)>& report) override {
    return over_.Check(report);
  }

 private:
  template <typename Call>
  auto Read(const Call& call) -> decltype(call()) {
    if (fence_.dead()) return Dead();
    return call();
  }
  template <typename Call>
  auto Change(const Call& call) -> decltype(call()) {
    if (!fence_.Step()) return Dead();
    auto result = call();
    (void)fence_.Step();
    return result;
  }

  FileSystem& over_;
  Fence& fence_;
};

class FencedRecords : public RecordStore {
 public:
  FencedRecords(RecordStore& over, Fence& fence) : over_(over), fence_(fence) {}
  Result<std::optional<std::string>> Get(std::string_view key) override {
    if (fence_.dead()) return Dead();
    return over_.Get(key);
  }
  Result<void> Put(std::string_view key, std::string_view value) override {
    if (!fence_.Step()) return Dead();
    auto result = over_.Put(key, value);
    (void)fence_.Step();
    return result;
  }
  Result<void> Delete(std::string_view key) override {
    if (!fence_.Step()) return Dead();
    auto result = over_.Delete(key);
    (void)fence_.Step();
    return result;
  }
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    if (fence_.dead()) return Dead();
    return over_.Scan(prefix, visit);
  }

 private:
  RecordStore& over_;
  Fence& fence_;
};

}  // namespace

std::unique_ptr<FileSystem> Fenced(FileSystem& over, Fence& fence) {
  return std::make_unique<FencedFileSystem>(over, fence);
}

std::unique_ptr<RecordStore> Fenced(RecordStore& over, Fence& fence) {
  return std::make_unique<FencedRecords>(over, fence);
}

}  // namespace tarn::sim
