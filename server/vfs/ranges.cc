#include "server/vfs/ranges.h"

#include <algorithm>

namespace tarn::vfs {
namespace {

bool Overlap(uint64_t a, uint64_t b, uint64_t length) {
  return a < b ? b - a < length : a - b < length;
}

Result<void> CheckTarget(const Transfer& transfer, uint64_t length) {
  bool beyond = length > kFileBytesMax || transfer.target_offset > kFileBytesMax - length;
  if (beyond) return Error(Code::kFileTooBig);
  if (transfer.one_file && Overlap(transfer.source_offset, transfer.target_offset, length)) {
    return Error(Code::kInvalid, "the two ranges of the file overlap");
  }
  return Ok();
}

}  // namespace

Result<void> CheckAllocate(uint64_t offset, uint64_t length) {
  if (length == 0) return Error(Code::kInvalid, "the range is empty");
  bool beyond = length > kFileBytesMax || offset > kFileBytesMax - length;
  if (beyond) return Error(Code::kFileTooBig);
  return Ok();
}

Result<uint64_t> PunchEnd(uint64_t offset, uint64_t length, uint64_t size) {
  if (length == 0) return Error(Code::kInvalid, "the range is empty");
  if (length < size - offset) return offset + length;
  return (size + kCloneBlockBytes - 1) / kCloneBlockBytes * kCloneBlockBytes;
}

Result<uint64_t> CloneLength(const Transfer& transfer) {
  if (transfer.source_offset > transfer.source_size) {
    return Error(Code::kInvalid, "the source's offset is behind its end");
  }
  uint64_t left = transfer.source_size - transfer.source_offset;
  uint64_t length = transfer.length == 0 ? left : transfer.length;
  if (length > left) return Error(Code::kInvalid, "the range reaches behind the source's end");
  if (transfer.source_offset % kCloneBlockBytes != 0 ||
      transfer.target_offset % kCloneBlockBytes != 0) {
    return Error(Code::kInvalid, "the offsets must be multiples of the clone block size");
  }
  TRY(CheckTarget(transfer, length));
  // A part of a block can be shared only if nothing of either file lies behind it.
  bool whole = length % kCloneBlockBytes == 0;
  bool both_end = length == left && transfer.target_offset + length >= transfer.target_size;
  if (!whole && !both_end) {
    return Error(Code::kInvalid, "the length must be a multiple of the clone block size");
  }
  return length;
}

Result<uint64_t> CopyLength(const Transfer& transfer) {
  if (transfer.source_offset >= transfer.source_size) return uint64_t{0};
  uint64_t left = transfer.source_size - transfer.source_offset;
  uint64_t length = transfer.length == 0 ? left : std::min(transfer.length, left);
  TRY(CheckTarget(transfer, length));
  return length;
}

}  // namespace tarn::vfs
