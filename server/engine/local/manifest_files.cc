#include "server/engine/local/manifest_files.h"

#include <algorithm>
#include <string>

#include "server/engine/local/little.h"
#include "server/engine/local/log_format.h"

namespace tarn::local {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Threads: RocksDB writes and syncs it under one lock.
class ManifestFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  explicit ManifestFile(std::unique_ptr<FSWritableFile> below)
      : FSWritableFileOwnerWrapper(std::move(below)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    Slice rest = data;
    while (!rest.empty()) {
      bool begins = left_ == 0 && header_.empty();
      // Until the first sync nothing refers to the file.
      if (begins && unsynced_record_ && in_use_) {
        IOStatus synced = Sync(options, debug);
        if (!synced.ok()) return synced;
      }
      size_t bytes = RecordBytes(rest);
      IOStatus status = target()->Append(Slice(rest.data(), bytes), options, debug);
      if (!status.ok()) return status;
      rest.remove_prefix(bytes);
    }
    return IOStatus::OK();
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*verification*/,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Synced(target()->Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Synced(target()->Fsync(options, debug));
  }

 private:
  IOStatus Synced(IOStatus status) {
    if (!status.ok()) return status;
    in_use_ = true;
    unsynced_record_ = false;
    return status;
  }

  // How many of the bytes, at least one, go before the next record begins.
  size_t RecordBytes(const Slice& data) {
    size_t done = 0;
    bool ended = false;
    while (done < data.size() && !ended) {
      size_t here = data.size() - done;
      size_t room = kLogBlock - at_ % kLogBlock;
      if (left_ == 0 && header_.empty() && room < kPartHeader) {  // too short for a part
        here = std::min(here, room);
      } else if (left_ == 0) {
        here = std::min(here, kPartHeader - header_.size());
        header_.append(data.data() + done, here);
        if (header_.size() == kPartHeader) left_ = GetLittle(header_.substr(4, 2));
        ended = header_.size() == kPartHeader && left_ == 0 && EndPart();
      } else {
        here = std::min(here, left_);
        left_ -= here;
        ended = left_ == 0 && EndPart();
      }
      at_ += here;
      done += here;
    }
    return done;
  }

  // True: it was the last one of its record.
  bool EndPart() {
    auto type = static_cast<uint8_t>(header_[6]);
    header_.clear();
    bool record = type == kFull || type == kLast;
    unsynced_record_ = unsynced_record_ || record;
    return record;
  }

  bool in_use_ = false;
  bool unsynced_record_ = false;  // a whole one
  uint64_t at_ = 0;
  std::string header_;  // of the part that is being written
  size_t left_ = 0;     // of its payload
};

class ManifestFiles final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "tarn.ManifestFiles"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    IOStatus status = target()->NewWritableFile(path, options, file, debug);
    bool manifest = path.substr(path.rfind('/') + 1).starts_with("MANIFEST-");
    if (status.ok() && manifest) *file = std::make_unique<ManifestFile>(std::move(*file));
    return status;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> NewManifestFiles(
    const std::shared_ptr<rocksdb::FileSystem>& below) {
  return std::make_shared<ManifestFiles>(below);
}

}  // namespace tarn::local
