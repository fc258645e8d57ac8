// The engine's record store: rows of its own in the table of metadata. A change is durable on
// return. Threads: any.
#pragma once

#include "server/engine/local/format.h"
#include "server/engine/local/store.h"
#include "server/vfs/file_system.h"

namespace tarn::local {

class Records final : public vfs::RecordStore {
 public:
  explicit Records(Store& store) : store_(store) {}

  Result<std::optional<std::string>> Get(std::string_view key) override {
    return store_.Get(Table::kMeta, RecordKey(key));
  }
  Result<void> Put(std::string_view key, std::string_view value) override {
    Batch batch(store_);
    batch.Put(Table::kMeta, RecordKey(key), value);
    return store_.WriteAndSync(batch);
  }
  Result<void> Delete(std::string_view key) override {
    Batch batch(store_);
    batch.Delete(Table::kMeta, RecordKey(key));
    return store_.WriteAndSync(batch);
  }
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    std::string first = RecordKey(prefix);
    return store_.Scan(Table::kMeta, first, After(first),
                       [&](auto key, auto value) { return visit(key.substr(1), value); });
  }

 private:
  Store& store_;
};

}  // namespace tarn::local
