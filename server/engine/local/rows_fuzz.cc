// The engine over a database some rows of which are not what it wrote: it may refuse what it finds,
// but nothing else may happen.
//
// An input is a list of edits of the rows of one small file system, left by a killed server: which
// row, how, and with what.
#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "common/fuzz.h"
#include "common/log.h"
#include "server/engine/local/format.h"
#include "server/engine/local/local_engine.h"
#include "server/engine/local/store.h"
#include "server/engine/local/testing/simulated_disk.h"

using namespace tarn;         // NOLINT(google-build-using-namespace)
using namespace tarn::local;  // NOLINT(google-build-using-namespace)
using namespace tarn::vfs;    // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kEditsMax = 6;
constexpr size_t kFilesMax = 40;
constexpr uint64_t kMiB = 1 << 20;

const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

struct Row {
  Table table;
  std::string key;
  std::string value;
};

ManualClock& TheClock() {
  static ManualClock clock;
  return clock;
}

LocalOptions Options(Disk& disk) {
  LocalOptions options;
  options.data_dir = "/data";
  options.clock = &TheClock();
  options.disk = &disk;
  options.block_cache_bytes = kMiB;
  options.write_buffer_bytes = kMiB;
  options.sums_cached_bytes = 64 << 10;
  options.reserve_bytes = 0;
  options.own_thread = false;
  return options;
}

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

FileId Make(FileSystem& fs, FileId in, const char* name, FileType type = FileType::kRegular) {
  CreateOptions options;
  options.type = type;
  options.symlink_target = type == FileType::kSymlink ? "target" : "";
  return fs.Create(kRoot, in, name, options).value().attributes.id;
}

void Write(FileSystem& fs, FileId file, uint64_t offset, size_t bytes, Stability stability) {
  std::string text(bytes, static_cast<char>('a' + offset % 25));
  FUZZ_REQUIRE(fs.Write(kRoot, file, false, offset, Bytes(text), stability).ok());
}

// Chunks with sums, blocks in the journal, and one that is being overwritten; small bytes.
void FillData(FileSystem& fs, FileId directory) {
  Write(fs, Make(fs, directory, "small"), 0, 700, Stability::kFileSync);
  FileId large = Make(fs, directory, "large");
  for (uint64_t at : {uint64_t{0}, 3 * kMiB, 70 * kMiB}) {
    Write(fs, large, at, 100'000, Stability::kFileSync);
  }
  FileId clone = Make(fs, directory, "clone");
  FUZZ_REQUIRE(fs.Clone(kRoot, {.file = large}, {.file = clone}, 0).ok());
  Write(fs, clone, 9000, 9000, Stability::kFileSync);
  FileId journal = Make(fs, directory, "journal");
  Write(fs, journal, 0, 100'000, Stability::kFileSync);
  Write(fs, journal, 5000, 100, Stability::kFileSync);
  Write(fs, journal, 200'000, 5000, Stability::kFileSync);
  FileId overwritten = Make(fs, directory, "overwritten");
  Write(fs, overwritten, 0, 300'000, Stability::kFileSync);
  Write(fs, overwritten, 0, 200'000, Stability::kUnstable);
}

// Something of everything that has rows.
void Fill(FileSystem& fs) {
  FileId top = fs.RealmRoot(kRootRealm).value();
  auto make = [&](FileId in, const char* name, FileType type = FileType::kRegular) {
    return Make(fs, in, name, type);
  };
  FileId directory = make(top, "d", FileType::kDirectory);
  FillData(fs, directory);
  FileId small = fs.Lookup(kRoot, directory, "small").value().id;
  make(top, "link", FileType::kSymlink);
  (void)fs.Link(kRoot, small, top, "hard");
  for (FileId file : {directory, small}) {
    (void)fs.SetXattr(kRoot, file, "name", std::string(3000, 'v'), XattrMode::kEither);
    (void)fs.SetXattr(kRoot, file, "other", "value", XattrMode::kEither);
  }
  for (const char* path : {"/tree", "/gone"}) {
    RealmId realm = fs.EnsureRealm(path, CreationInfo{}).value();
    FileId root = fs.RealmRoot(realm).value();
    Write(fs, make(root, "f"), 0, 50'000, Stability::kFileSync);
    (void)fs.SetQuota(realm, Quota{.bytes_max = 10 * kMiB, .files_max = 100});
    if (path[1] == 'g') FUZZ_REQUIRE(fs.RemoveRealm(realm, true).ok());
  }
  // Open until the end, so it is an orphan.
  FileId open = make(top, "open");
  (void)fs.Pin(open);
  (void)fs.Remove(kRoot, top, "open");
}

struct Template {
  std::unique_ptr<SimulatedDisk> disk;
  std::vector<Row> rows;
};

Template MakeTemplate() {
  Template made;
  {
    SimulatedDisk disk;
    auto engine = OpenLocalEngine(Options(disk)).value();
    Fill(*engine->GetFileSystem(engine->CreateFileSystem().value()).value());
    made.disk = disk.Copy();  // as when it is killed
  }
  auto store = Store::Open(Options(*made.disk)).value();
  for (size_t table = 0; table < kTables; ++table) {
    auto all = store->Scan(static_cast<Table>(table), "", "", [&](auto key, auto value) {
      made.rows.push_back({static_cast<Table>(table), std::string(key), std::string(value)});
      return true;
    });
    FUZZ_REQUIRE(all.ok());
  }
  for (Table table : {Table::kShares, Table::kSums, Table::kJournal}) {
    FUZZ_REQUIRE(std::any_of(made.rows.begin(), made.rows.end(),
                             [&](const Row& row) { return row.table == table; }));
  }
  FUZZ_REQUIRE(std::any_of(made.rows.begin(), made.rows.end(), [](const Row& row) {
    return row.table == Table::kMeta && row.key[0] == 'W';
  }));
  return made;
}

class Edits {
 public:
  Edits(std::string_view input, const std::vector<Row>& rows) : rest_(input), rows_(rows) {}

  void Apply(Batch& batch) {
    for (size_t i = 0; i < kEditsMax && !rest_.empty(); ++i) {
      Row row = rows_[Byte() % rows_.size()];
      uint8_t how = Byte();
      size_t at = Byte();
      if (how % 9 == 8) {
        batch.Delete(row.table, row.key);
        continue;
      }
      if (how % 9 < 3) {
        EditKey(how % 9, at, row.key);
      } else {
        EditValue(how % 9, at, row.value);
      }
      batch.Put(row.table, row.key, row.value);
    }
  }

 private:
  void EditKey(int how, size_t at, std::string& key) {
    uint64_t number = Number();
    if (how == 0 || key.size() < 13) {
      key[at % key.size()] ^= static_cast<char>(number);
      return;
    }
    // One of its numbers, which are big-endian.
    bool meta = key.size() % 8 == 5;
    size_t first = meta ? 5 : 4;
    first += at % ((key.size() - first) / 8) * 8;
    for (size_t i = 0; i < 8; ++i) key[first + i] = static_cast<char>(number >> (56 - 8 * i));
  }

  void EditValue(int how, size_t at, std::string& value) {
    switch (how) {
      case 3:
        value.resize(at % (value.size() + 1));
        return;
      case 4:
        value = Some(at);
        return;
      case 5:
        value += Some(at % 16);
        return;
      case 6: {
        uint64_t number = Number();
        for (size_t i = 0; i < 8 && at + i < value.size(); ++i) {
          value[at + i] = static_cast<char>(number >> (8 * i));
        }
        return;
      }
      default:
        if (!value.empty()) value[at % value.size()] ^= static_cast<char>(Byte());
    }
  }

  // One that means something here, or that little is prepared for.
  uint64_t Number() {
    uint8_t which = Byte();
    if (which < 100) return which;
    constexpr uint64_t kOdd[] = {UINT64_MAX,        uint64_t{1} << 63,
                                 INT64_MAX,         UINT32_MAX,
                                 uint64_t{1} << 32, kFileBytesMax,
                                 1 << 14,           70 * kMiB,
                                 kFileBytesMax + 1, 1000,
                                 (1 << 14) - 1,     kMiB,
                                 uint64_t{1} << 40};
    if (which < 113) return kOdd[which - 100];
    const std::string& key = rows_[which % rows_.size()].key;
    return NumberAt(key, key.size() < 8 ? 0 : key.size() - 8);
  }

  uint8_t Byte() { return static_cast<uint8_t>(Some(1).append(1, '\0').front()); }
  std::string Some(size_t size) {
    std::string bytes(rest_.substr(0, size));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }

  std::string_view rest_;
  const std::vector<Row>& rows_;
};

// Does to every file all that can be done to it, whatever comes of it.
class Walk {
 public:
  explicit Walk(FileSystem& fs) : fs_(fs) {}

  void Directory(FileId directory, size_t depth) {
    struct Entry {
      std::string name;
      FileId id;
      FileType type;
    };
    std::vector<Entry> entries;
    (void)fs_.ReadDirectory(kRoot, directory, 0, true, [&](const DirectoryEntry& entry) {
      entries.push_back({std::string(entry.name), entry.attributes.id, entry.attributes.type});
      return entries.size() < kFilesMax;
    });
    (void)fs_.LookupParent(kRoot, directory);
    Xattrs(directory);
    for (const Entry& entry : entries) {
      if (++files_ > kFilesMax) return;
      auto found = fs_.Lookup(kRoot, directory, entry.name);
      if (entry.type == FileType::kDirectory && depth < 5) Directory(entry.id, depth + 1);
      (void)fs_.ReadSymlink(kRoot, entry.id);
      if (entry.type == FileType::kRegular) File(directory, entry.id);
      (void)fs_.Rename(kRoot, directory, entry.name, directory, "renamed");
      (void)fs_.Remove(kRoot, directory, "renamed");
    }
  }

 private:
  void File(FileId directory, FileId file) {
    auto is = fs_.GetAttributes(kRoot, file);
    uint64_t size = is.ok() ? is->size : 0;
    std::vector<std::byte> buffer(20'000);
    for (uint64_t at : {uint64_t{0}, size / 2, 3 * kMiB, 70 * kMiB}) {
      (void)fs_.Read(kRoot, file, false, at, buffer);
      (void)fs_.Seek(kRoot, file, false, at, ExtentKind::kHole);
      (void)fs_.Seek(kRoot, file, false, at, ExtentKind::kData);
    }
    Xattrs(file);
    auto copy = fs_.Create(kRoot, directory, "copy", {});
    if (copy.ok()) {
      (void)fs_.Clone(kRoot, {.file = file}, {.file = copy->attributes.id}, 0);
      (void)fs_.Write(kRoot, copy->attributes.id, false, 5000, buffer, Stability::kUnstable);
      (void)fs_.Commit(kRoot, copy->attributes.id, 0, 0);
      (void)fs_.Remove(kRoot, directory, "copy");
    }
    (void)fs_.Write(kRoot, file, false, 6000, buffer, Stability::kFileSync);
    (void)fs_.Allocate(kRoot, file, false, kMiB, 8192);
    (void)fs_.Deallocate(kRoot, file, false, 4096, 2 * kMiB);
    AttributeChange cut;
    cut.size = 5000;
    (void)fs_.SetAttributes(kRoot, file, cut);
    (void)fs_.Read(kRoot, file, false, 0, buffer);
  }

  void Xattrs(FileId file) {
    std::vector<std::string> names;
    (void)fs_.ListXattrs(kRoot, file, 0, [&](uint64_t, std::string_view name) {
      names.emplace_back(name);
      return names.size() < 10;
    });
    for (const std::string& name : names) (void)fs_.GetXattr(kRoot, file, name);
    (void)fs_.SetXattr(kRoot, file, "name", "new", XattrMode::kEither);
    (void)fs_.RemoveXattr(kRoot, file, "other");
  }

  FileSystem& fs_;
  size_t files_ = 0;
};

// The marks settle, then the journal is applied.
void Maintain(Engine& engine) {
  for (int i = 0; i < 3; ++i) {
    TheClock().Advance(std::chrono::seconds(10));
    MaintainLocalEngine(engine);
  }
}

void Examine(Engine& engine, FileSystem& fs, bool sound) {
  auto report = [](std::string_view) {};
  auto pace = [](uint64_t) { return true; };
  auto problems = fs.Check(report);
  if (sound) FUZZ_REQUIRE(problems.ok() && *problems == 0);
  auto scrubbed = fs.Scrub(pace, report);
  if (sound) FUZZ_REQUIRE(scrubbed.ok() && scrubbed->problems == 0);
  (void)engine.ScrubTables(pace, report);
}

void Use(SimulatedDisk& disk, bool sound) {
  auto engine = OpenLocalEngine(Options(disk));
  FUZZ_REQUIRE(engine.ok() || !sound);
  if (!engine) return;
  auto found = (*engine)->GetFileSystem(1);
  FUZZ_REQUIRE(found.ok() || !sound);
  if (!found) return;
  FileSystem& fs = **found;
  Examine(**engine, fs, sound);
  Maintain(**engine);
  (void)fs.ReleaseOrphans();
  (void)fs.GetSpace(kRootRealm);
  auto realm = fs.EnsureRealm("/tree", CreationInfo{});
  auto root = fs.RealmRoot(kRootRealm);
  if (root.ok()) Walk(fs).Directory(*root, 0);
  if (realm.ok()) (void)fs.RemoveRealm(*realm, true);
  Maintain(**engine);
  Examine(**engine, fs, sound);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Template first = MakeTemplate();
  auto disk = first.disk->Copy();
  // RocksDB does without this file; to write and verify it takes longer than all else.
  disk->SetHook([](const SimulatedDisk::Call& call) {
    return call.path.find("/OPTIONS-") != std::string::npos ? EIO : 0;
  });
  if (size > 0) {
    auto store = Store::Open(Options(*disk)).value();
    Batch batch(*store);
    Edits({reinterpret_cast<const char*>(data), size}, first.rows).Apply(batch);
    FUZZ_REQUIRE(store->WriteAndSync(batch).ok());
  }
  Use(*disk, size == 0);
  return 0;
}
