#include "server/engine/local/chunk_row.h"

#include <algorithm>
#include <utility>

#include "server/engine/local/little.h"

namespace tarn::local {
namespace {

constexpr char kSharing = '3';

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  uint64_t Little(size_t bytes) { return GetLittle(Bytes(bytes)); }
  std::string_view Bytes(size_t bytes) {
    ok_ = ok_ && rest_.size() >= bytes;
    if (!ok_) return {};
    std::string_view part = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return part;
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// The first block that is no hole.
uint64_t Begin(const ChunkMap& map) {
  return map.Has(0) ? 0 : map.Run(0, kChunkBlocks);
}

}  // namespace

const SharedBlocks* ChunkRow::SharedOf(uint64_t block) const {
  if (!sharing) return nullptr;
  for (const SharedBlocks& part : sharing->shared) {
    if (part.map.Has(block)) return &part;
  }
  return nullptr;
}

uint64_t ChunkRow::CountShared(uint64_t first, uint64_t after) const {
  uint64_t count = 0;
  if (!sharing) return count;
  for (const SharedBlocks& part : sharing->shared) count += part.map.Count(first, after);
  return count;
}

uint64_t ChunkRow::ClearShared(uint64_t first, uint64_t after) {
  uint64_t count = 0;
  if (!sharing) return count;
  for (SharedBlocks& part : sharing->shared) count += part.map.Clear(first, after);
  std::erase_if(sharing->shared, [](const SharedBlocks& part) { return part.map.End() == 0; });
  sharing->lost = sharing->lost || count > 0;
  return count;
}

uint64_t ChunkRow::Count(uint64_t first, uint64_t after) const {
  return map.Count(first, after) + CountShared(first, after);
}

uint64_t ChunkRow::Clear(uint64_t first, uint64_t after) {
  return map.Clear(first, after) + ClearShared(first, after);
}

uint64_t ChunkRow::Run(uint64_t first, uint64_t after) const {
  if (!sharing || sharing->shared.empty()) return map.Run(first, after);
  bool set = Has(first);
  uint64_t at = first;
  while (at < after && Has(at) == set) {
    uint64_t run = after - at;
    if (set) {
      const SharedBlocks* part = SharedOf(at);
      run = (part != nullptr ? part->map : map).Run(at, after);
    } else {
      run = map.Run(at, after);
      for (const SharedBlocks& part : sharing->shared) run = std::min(run, part.map.Run(at, after));
    }
    at += run;
  }
  return at - first;
}

void ChunkRow::StartSharing(const FileRef& own) {
  if (sharing) return;
  sharing = std::make_unique<Sharing>();
  if (map.End() > 0) {
    sharing->own = own;
  } else {
    sharing->stored.push_back(own);  // its file goes, if there is one
  }
}

void ChunkRow::ShareOwn() {
  sharing->shared.push_back({std::exchange(sharing->own, {}), 0, std::exchange(map, {})});
}

bool ChunkRow::TakeShared(const ChunkRow& source, uint64_t first, uint64_t after, uint64_t to) {
  if (!source.sharing) return true;  // nothing but a hole is there
  auto moved = static_cast<int64_t>(to) - static_cast<int64_t>(first);
  auto parts = source.sharing->shared;  // a copy: the source may be this row
  for (const SharedBlocks& part : parts) {
    if (part.map.Count(first, after) == 0) continue;
    auto delta = static_cast<int32_t>(part.delta - moved);
    auto same = std::find_if(
        sharing->shared.begin(), sharing->shared.end(),
        [&](const SharedBlocks& own) { return own.file == part.file && own.delta == delta; });
    if (same == sharing->shared.end()) {
      if (sharing->shared.size() == kSharedMax) return false;
      same = sharing->shared.insert(same, SharedBlocks{part.file, delta, {}});
    }
    for (uint64_t at = first; at < after;) {
      uint64_t run = part.map.Run(at, after);
      auto target = static_cast<uint64_t>(static_cast<int64_t>(at) + moved);
      if (part.map.Has(at)) same->map.Set(target, target + run);
      at += run;
    }
  }
  return true;
}

std::vector<FileRef> ChunkRow::Files() const {
  std::vector<FileRef> files;
  if (!sharing) return files;
  if (sharing->own.inode != 0) files.push_back(sharing->own);
  for (const SharedBlocks& part : sharing->shared) files.push_back(part.file);
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::string ChunkRow::Encode() const {
  if (!sharing) return map.Encode();
  std::string out(1, kSharing);
  auto put_map = [&out](const ChunkMap& blocks) {
    std::string text = blocks.Encode();
    PutLittle(out, text.size(), 4);
    out += text;
  };
  PutLittle(out, sharing->own.inode, 8);
  PutLittle(out, sharing->own.index, 8);
  put_map(map);
  PutLittle(out, sharing->shared.size(), 1);
  for (const SharedBlocks& part : sharing->shared) {
    PutLittle(out, part.file.inode, 8);
    PutLittle(out, part.file.index, 8);
    PutLittle(out, static_cast<uint32_t>(part.delta), 4);
    put_map(part.map);
  }
  return out;
}

Result<ChunkRow> ChunkRow::Decode(std::string_view bytes) {
  Error broken(Code::kCorrupt, "the stored block map of a file cannot be understood");
  ChunkRow row;
  if (bytes.empty() || bytes[0] != kSharing) {
    TRY(row.map, ChunkMap::Decode(bytes));
    return row;
  }
  Reader in(bytes.substr(1));
  auto get_map = [&in] { return ChunkMap::Decode(in.Bytes(in.Little(4))); };
  row.sharing = std::make_unique<Sharing>();
  row.sharing->own.inode = in.Little(8);
  row.sharing->own.index = in.Little(8);
  TRY(row.map, get_map());
  size_t parts = in.Little(1);
  if (parts > kSharedMax) return broken;
  for (size_t i = 0; i < parts; ++i) {
    SharedBlocks part;
    part.file.inode = in.Little(8);
    part.file.index = in.Little(8);
    part.delta = static_cast<int32_t>(in.Little(4));
    TRY(part.map, get_map());
    auto begin = static_cast<int64_t>(Begin(part.map)) + part.delta;
    auto end = static_cast<int64_t>(part.map.End()) + part.delta;
    bool fits = part.map.End() > 0 && begin >= 0 && end <= static_cast<int64_t>(kChunkBlocks);
    if (!in.ok() || !fits || part.file.inode == 0) return broken;
    row.sharing->shared.push_back(std::move(part));
  }
  if (!in.done()) return broken;
  row.sharing->stored = row.Files();
  return row;
}

}  // namespace tarn::local
