#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/kernel/load/content.h"
#include "tests/kernel/load/workers.h"

namespace tarn::load {
namespace {

constexpr size_t kFilesMax = 3;
constexpr uint64_t kMiB = 1024 * 1024;
constexpr uint64_t kSizeMax = 16 * kMiB;

}  // namespace

LargeWorker::LargeWorker(const Options& options, const std::string& name, uint64_t seed)
    : Worker(options, name, seed),
      directory_(In("c" + std::to_string(options.client) + "-" + name)) {}

void LargeWorker::Prepare() {
  MakeDirectory(directory_);
}

void LargeWorker::Step() {
  if (files_.size() == kFilesMax) {
    size_t which = dice_.Below(files_.size());
    Compare(files_[which]);
    Must(unlink(files_[which].path.c_str()), "unlink", files_[which].path);
    files_.erase(files_.begin() + static_cast<ptrdiff_t>(which));
  }
  std::string path = directory_ + "/large" + std::to_string(++number_);
  if (is("4.2") && !files_.empty() && dice_.OneIn(3)) {
    CopyTo(files_[dice_.Below(files_.size())], path);
  } else {
    Large large{path, dice_.Next(), dice_.Between(kMiB, kSizeMax)};
    Fill(large);
    files_.push_back(large);
  }
  Compare(files_.back());
}

void LargeWorker::Fill(const Large& large) {
  int file = Open(large.path, O_RDWR | O_CREAT);
  const uint64_t block = dice_.OneIn(2) ? kMiB : dice_.Between(5000, 300000);
  for (uint64_t at = 0; at < large.size; at += block) {
    uint64_t count = std::min(block, large.size - at);
    Write(file, Bytes(large.content, at, count), at, large.path);
  }
  Sync(file, large.path);
  figures_->synced_bytes.fetch_add(large.size, std::memory_order_relaxed);
  Close(file, large.path);
}

void LargeWorker::CopyTo(const Large& from, const std::string& path) {
  int source = Open(from.path, O_RDONLY);
  int target = Open(path, O_RDWR | O_CREAT);
  for (uint64_t done = 0; done < from.size;) {
    auto in = static_cast<off64_t>(done);
    auto out = static_cast<off64_t>(done);
    int64_t now = Must(copy_file_range(source, &in, target, &out, from.size - done, 0),
                       "copy_file_range", from.path + " to " + path);
    Check(now > 0, "copy_file_range ended early", path);
    done += now;
  }
  Sync(target, path);
  figures_->synced_bytes.fetch_add(from.size, std::memory_order_relaxed);
  Close(source, from.path);
  Close(target, path);
  files_.push_back({path, from.content, from.size});
}

void LargeWorker::Compare(const Large& large) {
  int file = Open(large.path, O_RDONLY);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  struct stat status {};
  Must(fstat(file, &status), "fstat", large.path);
  Check(static_cast<uint64_t>(status.st_size) == large.size, "another size", large.path);
  for (uint64_t at = 0; at < large.size; at += kMiB) {
    uint64_t count = std::min(kMiB, large.size - at);
    std::string difference =
        Difference(Bytes(large.content, at, count), Read(file, at, count, large.path));
    Check(difference.empty(), "from " + std::to_string(at) + ": " + difference, large.path);
  }
  Close(file, large.path);
}

void LargeWorker::Verify() {
  for (const Large& large : files_) Compare(large);
}

}  // namespace tarn::load
