#include "server/control/store.h"

namespace tarn::control {
namespace {

constexpr std::string_view kFileSystems = "control/fs/";
constexpr std::string_view kMountTargets = "control/mt/";
constexpr std::string_view kAccessPoints = "control/ap/";
constexpr std::string_view kCounter = "control/counter";
constexpr std::string_view kScrub = "control/scrub";
constexpr uint64_t kNumbersReserved = 256;  // at once, so that not each number costs a write

std::string Key(std::string_view prefix, std::string_view id) {
  return std::string(prefix).append(id);
}

std::string KeyOf(const records::FileSystem& record) {
  return Key(kFileSystems, record.description().file_system_id());
}
std::string KeyOf(const records::MountTarget& record) {
  return Key(kMountTargets, record.description().mount_target_id());
}
std::string KeyOf(const records::AccessPoint& record) {
  return Key(kAccessPoints, record.description().access_point_id());
}

Error Corrupt(std::string_view key) {
  return Error(Code::kCorrupt, "the record '" + std::string(key) +
                                   "' of the control API does not parse: restore it from a backup");
}

template <typename Record>
Result<void> LoadAll(vfs::RecordStore& store, std::string_view prefix,
                     const std::function<void(Record)>& take) {
  std::string bad;
  TRY(store.Scan(prefix, [&](std::string_view key, std::string_view value) {
    Record record;
    if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      bad = key;
      return false;
    }
    take(std::move(record));
    return true;
  }));
  if (!bad.empty()) return Corrupt(bad);
  return Ok();
}

}  // namespace

Result<void> Store::Load(const Visitor& visitor) {
  TRY(auto counter, records_.Get(kCounter));
  records::Counter parsed;
  if (counter && !parsed.ParseFromString(*counter)) return Corrupt(kCounter);
  next_ = reserved_ = std::max<uint64_t>(parsed.next(), 1);
  TRY(LoadAll(records_, kFileSystems, visitor.file_system));
  TRY(LoadAll(records_, kMountTargets, visitor.mount_target));
  return LoadAll(records_, kAccessPoints, visitor.access_point);
}

Result<void> Store::Put(const records::FileSystem& record) {
  return records_.Put(KeyOf(record), record.SerializeAsString());
}
Result<void> Store::Put(const records::MountTarget& record) {
  return records_.Put(KeyOf(record), record.SerializeAsString());
}
Result<void> Store::Put(const records::AccessPoint& record) {
  return records_.Put(KeyOf(record), record.SerializeAsString());
}
Result<void> Store::Delete(const records::FileSystem& record) {
  return records_.Delete(KeyOf(record));
}
Result<void> Store::Delete(const records::MountTarget& record) {
  return records_.Delete(KeyOf(record));
}
Result<void> Store::Delete(const records::AccessPoint& record) {
  return records_.Delete(KeyOf(record));
}

Result<uint64_t> Store::NextNumber() {
  if (next_ == reserved_) {
    records::Counter counter;
    counter.set_next(reserved_ + kNumbersReserved);
    TRY(records_.Put(kCounter, counter.SerializeAsString()));
    reserved_ = counter.next();
  }
  return next_++;
}

Result<int64_t> Store::Scrubbed() {
  TRY(auto stored, records_.Get(kScrub));
  records::Scrub record;
  if (stored && !record.ParseFromString(*stored)) return Corrupt(kScrub);
  return record.end_time();
}

Result<void> Store::PutScrubbed(int64_t seconds) {
  records::Scrub record;
  record.set_end_time(seconds);
  return records_.Put(kScrub, record.SerializeAsString());
}

}  // namespace tarn::control
