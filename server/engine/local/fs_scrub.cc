// Scrub: everything in chunk files is read from the disk and compared with its checksum.
#include "common/log.h"
#include "server/engine/local/health.h"
#include "server/engine/local/local_file_system.h"

namespace tarn::local {
namespace {

constexpr size_t kChunksPerStep = 256;

}  // namespace

class LocalFileSystem::Scrubber {
 public:
  Scrubber(LocalFileSystem& fs, const vfs::ScrubPace& pace,
           const std::function<void(std::string_view)>& report)
      : fs_(fs), pace_(pace), report_(report) {}

  Result<vfs::ScrubCounts> Run() {
    std::string first = FileSystemPrefix(fs_.number_);
    std::string end = After(first);
    for (bool more = true; more;) {
      std::vector<std::pair<uint64_t, uint64_t>> chunks;  // inode, index
      TRY(fs_.store_.Scan(Table::kChunks, first, end, [&](std::string_view key, std::string_view) {
        chunks.emplace_back(NumberAt(key, 4), NumberAt(key, 12));
        return chunks.size() < kChunksPerStep;
      }));
      more = chunks.size() == kChunksPerStep;
      for (auto [inode, index] : chunks) {
        if (inode != last_inode_) ++counts_.files;
        last_inode_ = inode;
        TRY(ScrubChunk(inode, index));
        first = After(ChunkKey(fs_.number_, inode, index));
      }
    }
    return counts_;
  }

 private:
  void Problem(const std::string& what) {
    ++counts_.problems;
    report_(what);
  }

  Result<void> ScrubChunk(uint64_t number, uint64_t index) {
    auto inode = fs_.cache_.Find(number);
    if (inode.code() == Code::kStale) return Ok();
    if (!inode) {
      Problem("inode " + std::to_string(number) + ": " + inode.error().message());
      return Ok();
    }
    for (uint64_t region = 0; region < kChunkRegions;) {
      auto next = ScrubRegion(**inode, index, region);
      if (!next && next.code() == Code::kAborted) return next.error();
      if (!next) Problem(next.error().message());
      region = next ? *next : region + 1;
    }
    return Ok();
  }

  // The next region that has something.
  Result<uint64_t> ScrubRegion(Inode& inode, uint64_t index, uint64_t region) {
    std::shared_lock lock(inode.mutex);
    while (!inode.gone && (!inode.data || !inode.data->chunks.contains(index))) {
      lock.unlock();
      {
        std::unique_lock load(inode.mutex);
        if (!inode.gone) TRY(fs_.LoadChunk(inode, index));
      }
      lock.lock();
    }
    if (inode.gone) return kChunkRegions;
    const FileData::Chunk& chunk = inode.data->chunks.at(index);
    uint64_t first = region * kRegionBlocks;
    if (!chunk.Has(first)) first += chunk.Run(first, kChunkBlocks);
    if (first == kChunkBlocks) return kChunkRegions;
    region = first / kRegionBlocks;
    uint32_t unknown = 0;
    uint64_t bytes = 0;
    TRY(Compare(inode, index, chunk, region, &unknown, &bytes));
    lock.unlock();
    if (unknown != 0) TRY(AddSums(inode, index, region));
    counts_.bytes += bytes;
    if (!pace_(bytes)) return Error(Code::kAborted, "the scrub was stopped");
    return region + 1;
  }

  // The blocks that are in the file, and the file alone.
  static bool InFile(const FileData::Chunk& chunk, uint64_t block) {
    auto entry = chunk.journal.find(block);
    return chunk.map.Has(block) && (entry == chunk.journal.end() || !entry->second.image);
  }

  Result<void> Compare(const Inode& inode, uint64_t index, const FileData::Chunk& chunk,
                       uint64_t region, uint32_t* unknown, uint64_t* bytes) {
    FileView view = fs_.OwnView(inode, index, chunk);
    TRY(CompareShared(inode, index, chunk, region, bytes));
    if (view.file.inode == 0) return Ok();
    TRY(RegionSums sums, fs_.SumsOf(view, region));
    std::shared_ptr<ChunkFile> file;
    uint64_t first = region * kRegionBlocks;
    std::array<std::byte, kBlockBytes> buffer;
    for (uint64_t block = first; block < first + kRegionBlocks; ++block) {
      if (!InFile(chunk, block)) continue;
      if (!file) {
        TRY(file, fs_.chunks_.Open(view.file, false));
        if (!file) {
          return Error(Code::kCorrupt, "inode " + std::to_string(inode.number) + ": chunk file " +
                                           std::to_string(index) + " is not there");
        }
        file->DropCache(first * kBlockBytes, kRegionBytes);
      }
      if (auto read = file->Read(block * kBlockBytes, buffer); !read) {
        Problem("inode " + std::to_string(inode.number) + ": " + read.error().message());
        continue;
      }
      *bytes += kBlockBytes;
      ProcessHealth().blocks_verified.fetch_add(1, std::memory_order_relaxed);
      if (!sums.Has(block) && !fs_.record_.encrypted) {
        *unknown |= uint32_t{1} << (block - first);
      } else if ((!sums.Has(block) || sums.Of(block) != Crc32c(buffer)) &&
                 !fs_.marks_.FromCrash(inode.number, index, region)) {
        Problem(fs_.WrongSum(view, block).message());
      }
    }
    return Ok();
  }

  // Blocks of clones; each who uses one says so.
  Result<void> CompareShared(const Inode& inode, uint64_t index, const FileData::Chunk& chunk,
                             uint64_t region, uint64_t* bytes) {
    if (!chunk.sharing) return Ok();
    std::array<std::byte, kBlockBytes> buffer;
    uint64_t first = region * kRegionBlocks;
    for (uint64_t block = first; block < first + kRegionBlocks; ++block) {
      if (chunk.SharedOf(block) == nullptr) continue;
      auto read = fs_.ReadShared(inode, index, chunk, block * kBlockBytes, buffer);
      if (!read) Problem(read.error().message());
      *bytes += kBlockBytes;
    }
    return Ok();
  }

  // Of blocks that were written before there were sums.
  Result<void> AddSums(Inode& inode, uint64_t index, uint64_t region) {
    std::lock_guard flush(inode.flush_mutex);
    std::unique_lock lock(inode.mutex);
    if (inode.gone) return Ok();
    TRY(FileData::Chunk * chunk, fs_.LoadChunk(inode, index));
    ChunkId id = fs_.OwnFile(inode, index, *chunk);
    if (id.inode == 0) return Ok();
    TRY(auto file, fs_.chunks_.Open(id, false));
    if (!file) return Ok();
    TRY(RegionSums known, fs_.SumsOf(fs_.OwnView(inode, index, *chunk), region));
    TRY(RegionSums stored, fs_.sums_.Of(id, region));
    std::array<std::byte, kBlockBytes> buffer;
    uint64_t added = 0;
    uint64_t first = region * kRegionBlocks;
    for (uint64_t block = first; block < first + kRegionBlocks; ++block) {
      if (!InFile(*chunk, block) || known.Has(block)) continue;
      TRY(file->Read(block * kBlockBytes, buffer));
      stored.Set(block, Crc32c(buffer));
      ++added;
    }
    if (added == 0) return Ok();
    TRY(fs_.sums_.PutAlone(id, region, stored));
    counts_.sums_added += added;
    return Ok();
  }

  LocalFileSystem& fs_;
  const vfs::ScrubPace& pace_;
  const std::function<void(std::string_view)>& report_;
  vfs::ScrubCounts counts_;
  uint64_t last_inode_ = 0;
};

Result<vfs::ScrubCounts> LocalFileSystem::Scrub(
    const vfs::ScrubPace& pace, const std::function<void(std::string_view)>& report) {
  if (deleted_) return Error(Code::kStale);
  return Scrubber(*this, pace, report).Run();
}

}  // namespace tarn::local
