#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tests/kernel/load/content.h"
#include "tests/kernel/load/workers.h"

namespace tarn::load {
namespace {

constexpr uint64_t kRecords = 8;
constexpr uint64_t kLogs = 2;
constexpr size_t kEntryBytes = 160;
constexpr size_t kPlacesChecked = 30;  // of a log, after each kill
constexpr int kTries = 40;             // for a lock without waiting, then it waits

}  // namespace

struct LockWorker::Record {
  uint64_t value = 0;
  uint64_t writer = 0;
  uint64_t hash = 0;
  char rest[40] = {};  // so that records lie in one page, and several clients write into it

  uint64_t Sum() const { return value == 0 ? 0 : (value * 31 + writer) * 0x9e3779b97f4a7c15U; }
};

LockWorker::LockWorker(const Options& options, const std::string& name, uint64_t seed)
    : Worker(options, name, seed),
      counters_path_(In("shared/counters")),
      counted_(kRecords),
      seen_(kRecords),
      logs_(kLogs) {}

void LockWorker::Prepare() {
  counters_ = Open(counters_path_, O_RDWR | O_CREAT);
  for (uint64_t i = 0; i < kLogs; ++i) {
    logs_[i].path = In("shared/log-" + std::to_string(i));
    logs_[i].file = Open(logs_[i].path, O_RDWR | O_CREAT);
  }
}

void LockWorker::Step() {
  switch (dice_.Below(4)) {
    case 0:
      return AppendToLog(dice_.Below(kLogs));
    case 1:
      return ReadRecord(dice_.Below(kRecords));
    default:
      return Count(dice_.Below(kRecords));
  }
}

bool LockWorker::Lock(int file, short kind, uint64_t at, uint64_t count, const std::string& path) {
  struct flock lock {};
  lock.l_type = kind;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(at);
  lock.l_len = static_cast<off_t>(count);
  for (int tries = 0; tries < kTries; ++tries) {
    if (May(fcntl(file, F_SETLK, &lock), {EAGAIN, EACCES}, "lock", path) == 0) return true;
    Sleep(std::chrono::milliseconds(dice_.Between(2, 30)));
  }
  // Waiting comes last, since the client of 4.0 looks again only after ever longer pauses.
  Must(fcntl(file, F_SETLKW, &lock), "wait for lock", path);
  return true;
}

void LockWorker::Unlock(int file, uint64_t at, uint64_t count, const std::string& path) {
  struct flock lock {};
  lock.l_type = F_UNLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(at);
  lock.l_len = static_cast<off_t>(count);
  Must(fcntl(file, F_SETLK, &lock), "unlock", path);
}

void LockWorker::Witness(const std::string& what) {
  std::string path = options_.host + "/witness-" + what;
  Check(mkdir(path.c_str(), 0755) == 0, "somebody else has the lock too", what);
}

void LockWorker::EndWitness(const std::string& what) {
  std::string path = options_.host + "/witness-" + what;
  Check(rmdir(path.c_str()) == 0, "the witness is gone", what);
}

LockWorker::Record LockWorker::Get(uint64_t record) {
  Record got;
  std::string bytes = Read(counters_, record * sizeof got, sizeof got, counters_path_);
  std::memcpy(&got, bytes.data(), bytes.size());
  Check(got.hash == got.Sum(), "record " + std::to_string(record) + " is torn", counters_path_);
  Check(got.value >= seen_[record],
        "record " + std::to_string(record) + " fell from " + std::to_string(seen_[record]) +
            " to " + std::to_string(got.value),
        counters_path_);
  seen_[record] = got.value;
  return got;
}

void LockWorker::Count(uint64_t record) {
  const uint64_t at = record * sizeof(Record);
  const std::string what = "record-" + std::to_string(record);
  Lock(counters_, F_WRLCK, at, sizeof(Record), counters_path_);
  Witness(what);
  Record now = Get(record);
  ++now.value;
  now.writer = static_cast<uint64_t>(options_.client) * 1000 + dice_.Below(1000);
  now.hash = now.Sum();
  Write(counters_, std::string_view(reinterpret_cast<const char*>(&now), sizeof now), at,
        counters_path_);
  if (dice_.OneIn(2)) {
    Sync(counters_, counters_path_);
    figures_->synced_bytes.fetch_add(sizeof now, std::memory_order_relaxed);
  }
  if (dice_.OneIn(3)) Sleep(std::chrono::milliseconds(dice_.Below(20)));
  seen_[record] = now.value;
  ++counted_[record];
  EndWitness(what);
  Unlock(counters_, at, sizeof(Record), counters_path_);  // writes back what is not synced
}

void LockWorker::ReadRecord(uint64_t record) {
  const uint64_t at = record * sizeof(Record);
  Lock(counters_, F_RDLCK, at, sizeof(Record), counters_path_);
  Get(record);
  Unlock(counters_, at, sizeof(Record), counters_path_);
}

std::string LockWorker::LogEntry(uint64_t number) const {
  std::string entry = "client " + std::to_string(options_.client) + " " + name_ + " entry " +
                      std::to_string(number) + " ";
  while (entry.size() + 1 < kEntryBytes) entry += static_cast<char>('a' + entry.size() % 26);
  return entry + "\n";
}

void LockWorker::AppendToLog(uint64_t number) {
  Log& log = logs_[number];
  const std::string what = "log-" + std::to_string(number);
  Lock(log.file, F_WRLCK, 0, 0, log.path);
  Witness(what);
  struct stat status {};
  Must(fstat(log.file, &status), "fstat", log.path);
  const auto end = static_cast<uint64_t>(status.st_size);
  Check(end % kEntryBytes == 0, "its size is no number of entries", log.path);
  Check(log.places.empty() || end > log.places.back(), "it got shorter", log.path);
  Write(log.file, LogEntry(entries_), end, log.path);
  Sync(log.file, log.path);
  figures_->synced_bytes.fetch_add(kEntryBytes, std::memory_order_relaxed);
  log.places.push_back(end);
  ++entries_;
  EndWitness(what);
  Unlock(log.file, 0, 0, log.path);
}

// Own entries stay where they were put; those of a log that were put last, and any others.
void LockWorker::Verify() {
  for (Log& log : logs_) {
    if (log.places.empty()) continue;
    posix_fadvise(log.file, 0, 0, POSIX_FADV_DONTNEED);
    for (size_t i = 0; i < kPlacesChecked; ++i) {
      uint64_t place = i == 0 ? log.places.back() : log.places[dice_.Below(log.places.size())];
      std::string entry = Read(log.file, place, kEntryBytes, log.path);
      std::string begin = "client " + std::to_string(options_.client) + " " + name_ + " entry ";
      Check(entry.starts_with(begin), "no entry of this worker at " + std::to_string(place),
            log.path);
    }
  }
  for (uint64_t record = 0; record < kRecords; ++record) ReadRecord(record);
}

void LockWorker::Finish() {
  Close(counters_, counters_path_);
  for (Log& log : logs_) Close(log.file, log.path);
  std::ofstream tally(options_.host + "/tally-" + std::to_string(options_.client) + "-" + name_);
  for (uint64_t count : counted_) tally << count << "\n";
}

void LockWorker::VerifyAtEnd() {
  counters_ = Open(counters_path_, O_RDONLY);
  std::vector<uint64_t> sums(kRecords);
  for (const auto& file : std::filesystem::directory_iterator(options_.host)) {
    if (!file.path().filename().string().starts_with("tally-")) continue;
    std::ifstream tally(file.path());
    uint64_t count = 0;
    for (uint64_t record = 0; record < kRecords && tally >> count; ++record) sums[record] += count;
  }
  for (uint64_t record = 0; record < kRecords; ++record) {
    uint64_t value = Get(record).value;
    Check(value == sums[record],
          "record " + std::to_string(record) + " is " + std::to_string(value) + ", and " +
              std::to_string(sums[record]) + " were counted",
          counters_path_);
  }
  Close(counters_, counters_path_);
  // Every own entry is there, once, and in the place where it was put.
  std::map<std::string, int> found;
  uint64_t entries = 0;
  for (Log& log : logs_) {
    int file = Open(log.path, O_RDONLY);
    std::string whole = ReadCold(file, log.path);
    Close(file, log.path);
    for (uint64_t place : log.places) ++found[whole.substr(place, kEntryBytes)];
    entries += log.places.size();
  }
  Check(entries == entries_ && found.size() == entries_, "entries are missing", logs_[0].path);
  for (uint64_t number = 0; number < entries_; ++number) {
    Check(found[LogEntry(number)] == 1, "no entry " + std::to_string(number), logs_[0].path);
  }
}

}  // namespace tarn::load
