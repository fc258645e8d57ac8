// Ranges of bytes: the rules of Allocate, Deallocate, Seek, Clone and Copy that every engine
// applies alike (RFC 7862 sections 15.1 to 15.13). Pure functions; threads: any.
#pragma once

#include <cstdint>

#include "common/result.h"
#include "server/vfs/types.h"

namespace tarn::vfs {

// kInvalid: nothing; kFileTooBig: it ends behind kFileBytesMax.
Result<void> CheckAllocate(uint64_t offset, uint64_t length);

// Where a range to be punched ends, of one that begins within the file or at its end: the last
// block goes too when nothing of the file is left in it. kInvalid: the range is empty.
Result<uint64_t> PunchEnd(uint64_t offset, uint64_t length, uint64_t size);

// What is to be cloned or copied, once both files are locked.
struct Transfer {
  bool one_file = false;
  uint64_t source_offset = 0;
  uint64_t source_size = 0;
  uint64_t target_offset = 0;
  uint64_t target_size = 0;
  uint64_t length = 0;  // 0: up to the source's end
};

// The bytes to clone; 0: none. kInvalid as FileSystem::Clone has it, kFileTooBig.
Result<uint64_t> CloneLength(const Transfer& transfer);
// The bytes to copy: what the source has of them. 0: none. kInvalid, kFileTooBig.
Result<uint64_t> CopyLength(const Transfer& transfer);

}  // namespace tarn::vfs
