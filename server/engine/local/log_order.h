// LogOrder: how far the database's logs may be replayed after a cut of power.
//
// Of two logs the disk may have kept changes of the later one and lost the end of the earlier one,
// when neither was synced; where a single log is torn it was cut off before (log_tail.h). What is
// replayed must be a first part of what was written: every batch has the number of the first of its
// changes (RocksDB's sequence number), so a batch that does not follow on the one before it ends
// the replay. Nothing behind such a gap was ever answered, unless the disk lost what was synced.
//
// Threads: that of DB::Open.
#pragma once

#include <rocksdb/wal_filter.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tarn::local {

class LogOrder : public rocksdb::WalFilter {
 public:
  WalProcessingOption LogRecordFound(unsigned long long log, const std::string& path,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch* changed,
                                     bool* is_changed) override;
  const char* Name() const override { return "tarn.log_order"; }

 private:
  std::optional<uint64_t> next_;
  bool stopped_ = false;
};

}  // namespace tarn::local
