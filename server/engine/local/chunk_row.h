// ChunkRow: where the blocks of one chunk of a file are, and how the database stores it.
//
// A chunk has a chunk file of its own, into which it alone writes, and may share blocks of other
// chunk files: those that were cloned. A chunk file that is shared is nobody's own any more and
// never written again, so cloning is a matter of rows. A block is in its own file, or in one shared
// file, or a hole.
//
// Threads: none of its own; the inode's lock guards it. Decode: kCorrupt.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "server/engine/local/chunk_map.h"

namespace tarn::local {

// A chunk file by the numbers in its name. It is made for a chunk of an inode and named after that,
// or after a number of its own that no inode ever has; inode 0: none.
struct FileRef {
  uint64_t inode = 0;
  uint64_t index = 0;
  auto operator<=>(const FileRef&) const = default;
};

// Blocks of a chunk that lie in a file which others may share: block b at b + delta there.
struct SharedBlocks {
  FileRef file;
  int32_t delta = 0;
  ChunkMap map;  // by the chunk's own blocks
};

// Shared files of one chunk; what would take more is copied.
inline constexpr size_t kSharedMax = 16;

// What most chunks do not have: they never took part in a clone.
struct Sharing {
  // The chunk's own file; inode 0: it gets one with its next write. Without a Sharing the own file
  // is the one named after the chunk.
  FileRef own;
  std::vector<SharedBlocks> shared;
  std::vector<FileRef> stored;  // the files that the database says it uses
  bool lost = false;            // blocks that it shared are written or freed; room may be free
};

struct ChunkRow {
  ChunkMap map;  // blocks in the own file
  std::unique_ptr<Sharing> sharing;

  bool Has(uint64_t block) const { return map.Has(block) || SharedOf(block) != nullptr; }
  const SharedBlocks* SharedOf(uint64_t block) const;
  // As those of ChunkMap, over all blocks that are no holes.
  uint64_t Count(uint64_t first, uint64_t after) const;
  uint64_t Clear(uint64_t first, uint64_t after);
  uint64_t Run(uint64_t first, uint64_t after) const;
  bool Empty() const { return Count(0, kChunkBlocks) == 0; }
  uint64_t CountShared(uint64_t first, uint64_t after) const;
  uint64_t ClearShared(uint64_t first, uint64_t after);
  // From now on it may share. `own`: its own file.
  void StartSharing(const FileRef& own);
  // All of the own file becomes shared.
  void ShareOwn();
  // Takes over what `source` shares of [first, after), to `to` and on, all holes. False: it would
  // be too many files; then part of it may be done. Both share already.
  bool TakeShared(const ChunkRow& source, uint64_t first, uint64_t after, uint64_t to);
  // The files that it uses, but for an own one named after the chunk.
  std::vector<FileRef> Files() const;

  std::string Encode() const;
  static Result<ChunkRow> Decode(std::string_view bytes);
};

}  // namespace tarn::local
