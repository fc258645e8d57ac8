#include "server/engine/local/log_tail.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "common/log.h"
#include "server/engine/local/chunk_files.h"
#include "server/engine/local/log_format.h"

namespace tarn::local {
namespace {

struct Part {
  uint8_t type = 0;
  size_t size = 0;  // with its header
};

// The part at the start of the bytes, which end with the block or the file.
std::optional<Part> PartAt(std::span<const std::byte> bytes) {
  if (bytes.size() < kPartHeader) return {};
  uint32_t crc = 0;
  uint16_t length = 0;
  std::memcpy(&crc, bytes.data(), sizeof(crc));
  std::memcpy(&length, bytes.data() + 4, sizeof(length));
  Part part{static_cast<uint8_t>(bytes[6]), kPartHeader + length};
  if (part.type == 0 || part.size > bytes.size()) return {};
  if (MaskedCrc(bytes.subspan(6, part.size - 6)) != crc) return {};
  return part;
}

// What a log holds.
struct Extent {
  uint64_t size = 0;
  uint64_t good = 0;        // its whole records end here
  bool unknown = false;     // a part of a type that this does not know: better not touched
  uint64_t last_after = 0;  // where the last good part behind a broken one begins; 0: none
  bool only_filler = true;  // behind the whole records
};

class Scanner {
 public:
  Scanner(DiskFile& file, const std::string& path) : file_(file), path_(path), block_(kLogBlock) {}

  Result<Extent> Run() {
    int64_t size = file_.Size();
    if (size < 0) return SystemError("stat", path_);
    extent_.size = static_cast<uint64_t>(size);
    for (uint64_t at = 0; at < extent_.size; at += kLogBlock) {
      size_t bytes = std::min<uint64_t>(kLogBlock, extent_.size - at);
      TRY(Fill(at, bytes));
      ScanBlock(at, std::span(block_).first(bytes));
    }
    return extent_;
  }

 private:
  Result<void> Fill(uint64_t at, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
      ssize_t got = file_.Read(at + done, std::span(block_).subspan(done, bytes - done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return SystemError("read", path_);
      if (got == 0) return Error(Code::kIo, "a log got shorter while it was read");
      done += static_cast<size_t>(got);
    }
    return Ok();
  }

  void ScanBlock(uint64_t begin, std::span<const std::byte> block) {
    size_t at = 0;
    while (!broken_ && block.size() - at >= kPartHeader) {
      auto part = PartAt(block.subspan(at));
      if (!part || !Take(*part)) break;
      at += part->size;
      if (!within_) extent_.good = begin + at;
    }
    if (broken_) {
      if (PartAt(block)) extent_.last_after = begin;
    } else if (block.size() - at >= kPartHeader || begin + block.size() == extent_.size) {
      broken_ = true;
    }
    if (!broken_) return;
    size_t from = extent_.good > begin ? extent_.good - begin : 0;
    auto rest = block.subspan(std::min(from, block.size()));
    bool filler = std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0xff}; });
    extent_.only_filler = extent_.only_filler && filler && !within_;
  }

  // False: it has no place here.
  bool Take(const Part& part) {
    bool goes_on = part.type == kMiddle || part.type == kLast;
    if (part.type > kLast) extent_.unknown = true;
    if (part.type > kLast || goes_on != within_) return false;
    within_ = part.type == kFirst || part.type == kMiddle;
    return true;
  }

  DiskFile& file_;
  const std::string& path_;
  std::vector<std::byte> block_;
  bool within_ = false;  // a record that has begun
  bool broken_ = false;  // something was no part of a record
  Extent extent_;
};

// Does another record begin behind `from`, before `size`?
Result<bool> GoesOn(DiskFile& file, const std::string& path, uint64_t from, uint64_t size) {
  std::vector<std::byte> bytes(size - from);
  for (size_t done = 0; done < bytes.size();) {
    ssize_t got = file.Read(from + done, std::span(bytes).subspan(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SystemError("read", path);
    done += static_cast<size_t>(got);
  }
  for (size_t at = 1; at < bytes.size(); ++at) {
    size_t block_left = kLogBlock - (from + at) % kLogBlock;
    auto left = std::span(bytes).subspan(at);
    auto part = PartAt(left.first(std::min(left.size(), block_left)));
    if (part && (part->type == kFull || part->type == kFirst)) return true;
  }
  return false;
}

// The list of tables has the format of a log. It is short, and each sync covers one record
// (manifest_files.h), so a broken one that is not the last was synced. Parts that go on are of the
// torn record itself, of which the disk may have kept any.
Result<bool> ManifestIsDamaged(DiskFile& file, const std::string& path, const Extent& extent) {
  if (extent.size - extent.good > kUnsyncedMax) return true;
  return GoesOn(file, path, extent.good, extent.size);
}

Result<void> CutTail(Disk& disk, const std::string& path, bool manifest) {
  auto file = disk.Open(path, Disk::Mode::kWrite);
  if (!file) return SystemError("open", path);
  TRY(Extent extent, Scanner(*file, path).Run());
  if (extent.unknown || extent.good == extent.size) return Ok();
  bool damaged = extent.last_after > extent.good + kUnsyncedMax;
  if (manifest) {
    TRY(damaged, ManifestIsDamaged(*file, path, extent));
  }
  if (damaged) {
    spdlog::error("{} is damaged at byte {}: records that were synced follow", path, extent.good);
    return Ok();
  }
  if (!extent.only_filler) {
    spdlog::info("{}: cut {} bytes that a crash left behind the last whole change", path,
                 extent.size - extent.good);
  }
  if (file->Truncate(extent.good) != 0 || file->Sync() != 0) return SystemError("truncate", path);
  return Ok();
}

}  // namespace

Result<void> CutLogTails(Disk& disk, const std::string& directory) {
  std::vector<Disk::Entry> entries;
  if (disk.List(directory, &entries) != 0) return SystemError("list", directory);
  // Another list of tables than the current one may be half written; nobody reads it.
  std::string current;
  if (ReadWholeFile(disk, directory + "/CURRENT", &current) != 0) current.clear();
  while (current.ends_with('\n')) current.pop_back();
  for (const Disk::Entry& entry : entries) {
    bool manifest = !current.empty() && entry.name == current;
    if (!manifest && !entry.name.ends_with(".log")) continue;
    TRY(CutTail(disk, directory + "/" + entry.name, manifest));
  }
  return Ok();
}

}  // namespace tarn::local
