#include "server/engine/local/log_order.h"

#include <rocksdb/write_batch.h>

#include "common/log.h"

namespace tarn::local {
namespace {

// A batch begins with the number of its first change, 8 bytes, and how many there are, 4; all
// little-endian.
constexpr size_t kBatchHead = 12;

uint64_t Number(const std::string& bytes, size_t offset, size_t length) {
  uint64_t number = 0;
  for (size_t i = length; i-- > 0;) {
    number = number << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return number;
}

}  // namespace

rocksdb::WalFilter::WalProcessingOption LogOrder::LogRecordFound(unsigned long long,
                                                                 const std::string& path,
                                                                 const rocksdb::WriteBatch& batch,
                                                                 rocksdb::WriteBatch*, bool*) {
  const std::string& bytes = batch.Data();
  if (stopped_ || bytes.size() < kBatchHead) return WalProcessingOption::kStopReplay;
  uint64_t number = Number(bytes, 0, 8);
  if (next_ && number > *next_) {
    stopped_ = true;
    spdlog::error(
        "database: the changes from {} to {} are missing before {}: it is replayed up to "
        "there, which loses nothing that was answered unless the disk lost what was synced",
        *next_, number - 1, path);
    return WalProcessingOption::kStopReplay;
  }
  next_ = number + Number(bytes, 8, 4);
  return WalProcessingOption::kContinueProcessing;
}

}  // namespace tarn::local
