#include "server/engine/testing/conformance.h"

#include <algorithm>

namespace tarn {

void PrintTo(Code code, std::ostream* out) {
  *out << CodeName(code);
}

}  // namespace tarn

namespace tarn::vfs {

bool operator==(const Usage& left, const Usage& right) {
  return left.bytes == right.bytes && left.files == right.files;
}

void PrintTo(const Usage& usage, std::ostream* out) {
  *out << usage.bytes << " bytes in " << usage.files << " files";
}

}  // namespace tarn::vfs

namespace tarn::engine::testing {

using namespace vfs;  // NOLINT(google-build-using-namespace)

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string Pattern(size_t bytes, uint32_t seed) {
  std::string text(bytes, '\0');
  for (char& c : text) {
    seed = seed * 1664525 + 1013904223;
    c = static_cast<char>('!' + (seed >> 24) % 90);
  }
  return text;
}

vfs::Caller Tagged(std::string slot, uint64_t sequence) {
  vfs::Caller caller{.uid = 0, .gid = 0, .gids = {}, .replay = {}};
  caller.replay = vfs::ReplayTag{std::move(slot), sequence};
  return caller;
}

void Conformance::SetUp() {
  subject_ = GetParam()();
  auto number = engine().CreateFileSystem(subject_->key());
  ASSERT_TRUE(number.ok()) << number.error().ToString();
  number_ = *number;
  OpenFileSystem();
  // Anyone may make names at the top; tests of permissions use directories of their own.
  ASSERT_EQ(SetMode(Root(), top_, 0777), Code::kOk);
}

void Conformance::TearDown() {
  if (file_system_ == nullptr) return;
  ExpectSound();
  if (!HasFatalFailure()) ExpectExactUsage();
}

void Conformance::OpenFileSystem() {
  auto file_system = engine().GetFileSystem(number_);
  ASSERT_TRUE(file_system.ok()) << file_system.error().ToString();
  file_system_ = *file_system;
  auto top = file_system_->RealmRoot(kRootRealm);
  ASSERT_TRUE(top.ok()) << top.error().ToString();
  top_ = *top;
}

void Conformance::Restart() {
  RestartInGrace();
  ASSERT_EQ(fs().ReleaseOrphans().code(), Code::kOk);
}

void Conformance::RestartInGrace() {
  RestartLocked();
  if (subject_->key() != nullptr) {
    ASSERT_EQ(engine().Unlock(number_, key()).code(), Code::kOk);
  }
  OpenFileSystem();
}

void Conformance::RestartLocked() {
  file_system_ = nullptr;
  subject_->Restart();
  auto file_system = engine().GetFileSystem(number_);
  ASSERT_TRUE(file_system.ok()) << file_system.error().ToString();
  file_system_ = *file_system;
}

Time Conformance::Now() {
  auto now = subject_->clock().Now().count();
  return {now / 1'000'000'000, static_cast<uint32_t>(now % 1'000'000'000)};
}

Caller Conformance::Root(RealmId realm) {
  return Caller{.uid = 0, .gid = 0, .gids = {}, .realm = realm, .read_only = false};
}

Caller Conformance::User(uint32_t uid, uint32_t gid, std::vector<uint32_t> gids) {
  Caller caller{.uid = uid, .gid = gid, .gids = {}, .realm = kRootRealm, .read_only = false};
  caller.gids = std::move(gids);
  return caller;
}

FileId Conformance::MakeFileAs(const Caller& caller, FileId directory, std::string_view name,
                               uint32_t mode) {
  CreateOptions options;
  options.attributes.mode = mode;
  auto made = fs().Create(caller, directory, name, options);
  EXPECT_EQ(made.code(), Code::kOk) << name;
  return made.ok() ? made->attributes.id : FileId{};
}

FileId Conformance::MakeFile(FileId directory, std::string_view name, uint32_t mode) {
  return MakeFileAs(Root(), directory, name, mode);
}

FileId Conformance::MakeDirectoryAs(const Caller& caller, FileId directory, std::string_view name,
                                    uint32_t mode) {
  CreateOptions options;
  options.type = FileType::kDirectory;
  options.attributes.mode = mode;
  auto made = fs().Create(caller, directory, name, options);
  EXPECT_EQ(made.code(), Code::kOk) << name;
  return made.ok() ? made->attributes.id : FileId{};
}

FileId Conformance::MakeDirectory(FileId directory, std::string_view name, uint32_t mode) {
  return MakeDirectoryAs(Root(), directory, name, mode);
}

FileId Conformance::MakeSymlink(FileId directory, std::string_view name, std::string_view target) {
  CreateOptions options;
  options.type = FileType::kSymlink;
  options.symlink_target = target;
  auto made = fs().Create(Root(), directory, name, options);
  EXPECT_EQ(made.code(), Code::kOk) << name;
  return made.ok() ? made->attributes.id : FileId{};
}

FileId Conformance::Chown(FileId file, uint32_t uid, uint32_t gid) {
  AttributeChange change;
  change.uid = uid;
  change.gid = gid;
  EXPECT_EQ(fs().SetAttributes(Root(), file, change).code(), Code::kOk);
  return file;
}

Attributes Conformance::Get(FileId file) {
  auto attributes = fs().GetAttributes(Root(), file);
  EXPECT_EQ(attributes.code(), Code::kOk);
  return attributes.ok() ? *attributes : Attributes{};
}

void Conformance::WriteText(FileId file, uint64_t offset, std::string_view text,
                            Stability stability) {
  auto written = fs().Write(Root(), file, false, offset, BytesOf(text), stability);
  ASSERT_EQ(written.code(), Code::kOk);
  EXPECT_EQ(written->bytes, text.size());
  EXPECT_GE(written->stability, stability);
}

std::string Conformance::ReadText(FileId file, uint64_t offset, size_t length) {
  std::string text(length, '?');
  auto read = fs().Read(Root(), file, false, offset, std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(read.code(), Code::kOk);
  text.resize(read.ok() ? read->bytes : 0);
  return text;
}

Code Conformance::CreateCode(const Caller& caller, FileId directory, std::string_view name,
                             const CreateOptions& options) {
  return fs().Create(caller, directory, name, options).code();
}

Code Conformance::RenameCode(const Caller& caller, FileId from, std::string_view source, FileId to,
                             std::string_view target) {
  return fs().Rename(caller, from, source, to, target).code();
}

Code Conformance::WriteCode(const Caller& caller, FileId file, uint64_t offset, size_t length) {
  std::string data(length, 'x');
  return fs().Write(caller, file, false, offset, BytesOf(data), Stability::kFileSync).code();
}

Code Conformance::SetMode(const Caller& caller, FileId file, uint32_t mode) {
  AttributeChange change;
  change.mode = mode;
  return fs().SetAttributes(caller, file, change).code();
}

Code Conformance::SetSize(const Caller& caller, FileId file, uint64_t size) {
  AttributeChange change;
  change.size = size;
  return fs().SetAttributes(caller, file, change).code();
}

std::vector<std::string> Conformance::Names(FileId directory) {
  std::vector<std::string> names;
  auto end = fs().ReadDirectory(Root(), directory, 0, false, [&](const DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  EXPECT_EQ(end.code(), Code::kOk);
  EXPECT_TRUE(!end.ok() || *end);
  return names;
}

RealmId Conformance::MakeRealm(std::string_view path) {
  auto realm = fs().EnsureRealm(path, CreationInfo{.owner_uid = 0, .owner_gid = 0});
  EXPECT_EQ(realm.code(), Code::kOk) << path;
  if (realm.ok()) realms_.push_back(*realm);
  return realm.ok() ? *realm : 0;
}

FileId Conformance::RootOf(RealmId realm) {
  auto root = fs().RealmRoot(realm);
  EXPECT_EQ(root.code(), Code::kOk);
  return root.ok() ? *root : FileId{};
}

Usage Conformance::UsageOf(RealmId realm) {
  auto space = fs().GetSpace(realm);
  EXPECT_EQ(space.code(), Code::kOk);
  return space.ok() ? space->usage : Usage{};
}

Usage Conformance::Walk(FileId directory, std::vector<FileId>& seen) {
  Usage usage{Get(directory).space_used, 1};
  std::vector<Attributes> children;
  auto end = fs().ReadDirectory(Root(), directory, 0, true, [&](const DirectoryEntry& entry) {
    children.push_back(entry.attributes);
    return true;
  });
  EXPECT_EQ(end.code(), Code::kOk);
  for (const Attributes& child : children) {
    Usage more{child.space_used, 1};
    if (child.type == FileType::kDirectory) {
      more = Walk(child.id, seen);
    } else if (child.links > 1) {
      if (std::find(seen.begin(), seen.end(), child.id) != seen.end()) continue;
      seen.push_back(child.id);
    }
    usage.bytes += more.bytes;
    usage.files += more.files;
  }
  return usage;
}

void Conformance::ExpectExactUsage() {
  auto expect = [&](RealmId realm, FileId root) {
    std::vector<FileId> seen;
    EXPECT_EQ(UsageOf(realm), Walk(root, seen)) << "realm " << realm;
  };
  expect(kRootRealm, top_);
  for (RealmId realm : realms_) {
    auto root = fs().RealmRoot(realm);
    if (root.ok()) expect(realm, *root);  // not removed by the test
  }
}

void Conformance::ExpectSound() {
  auto problems = fs().Check([](std::string_view line) { ADD_FAILURE() << line; });
  ASSERT_EQ(problems.code(), Code::kOk);
  EXPECT_EQ(*problems, 0u);
}

}  // namespace tarn::engine::testing
