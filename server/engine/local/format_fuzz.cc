// The engine's records: any bytes are refused or are what encodes to them again.
#include "common/fuzz.h"
#include "server/engine/local/block_sums.h"
#include "server/engine/local/chunk_row.h"
#include "server/engine/local/format.h"

using namespace tarn;         // NOLINT(google-build-using-namespace)
using namespace tarn::local;  // NOLINT(google-build-using-namespace)

namespace {

template <typename T>
void Same(const Result<T>& decoded, auto&& decode) {
  if (!decoded) return;
  std::string bytes = Encode(*decoded);
  auto again = decode(bytes);
  FUZZ_REQUIRE(again.ok() && Encode(*again) == bytes);
}

// A chunk's row, and with it the maps of blocks in it.
void CheckRow(std::string_view bytes) {
  auto row = ChunkRow::Decode(bytes);
  if (!row) return;
  FUZZ_REQUIRE(row->map.End() <= kChunkBlocks);
  auto again = ChunkRow::Decode(row->Encode());
  FUZZ_REQUIRE(again.ok() && again->Encode() == row->Encode());
  FUZZ_REQUIRE(row->Count(0, kChunkBlocks) == again->Count(0, kChunkBlocks));
  FUZZ_REQUIRE(row->Files() == again->Files());
}

// The checksums of a region.
void CheckSums(std::string_view bytes) {
  auto sums = RegionSums::Decode(bytes);
  if (sums) FUZZ_REQUIRE(sums->Encode() == bytes);
}

// The key of a row of checksums or of the journal.
void CheckPartKey(std::string_view bytes) {
  auto key = DecodePartKey(bytes);
  if (!key) return;
  auto fs =
      static_cast<uint32_t>(NumberAt(std::string(4, '\0') + std::string(bytes.substr(0, 4)), 0));
  FUZZ_REQUIRE(SumsKey(fs, key->inode, key->index, key->part) == bytes);
}

}  // namespace

// The first byte says which record the rest is.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 11) {
    case 0:
      Same(DecodeInode(bytes), DecodeInode);
      break;
    case 1:
      Same(DecodeName(bytes), DecodeName);
      break;
    case 2:
      Same(DecodeRealm(bytes), DecodeRealm);
      break;
    case 3:
      Same(DecodeFileSystem(bytes), DecodeFileSystem);
      break;
    case 4:
      Same(DecodeReplay(bytes), DecodeReplay);
      break;
    case 5:
      Same(DecodeUsage(bytes), DecodeUsage);
      break;
    case 6:
      (void)DecodeNumber(bytes);
      break;
    case 7:
      CheckRow(bytes);
      break;
    case 8:
      CheckSums(bytes);
      break;
    case 9:
      CheckPartKey(bytes);
      break;
    default:
      Same(DecodeXattr(bytes), DecodeXattr);
  }
  for (size_t at : {size_t{0}, size_t{4}, size, size + 8}) NumberAt(bytes, at);
  return 0;
}
