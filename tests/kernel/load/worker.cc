#include "tests/kernel/load/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <iostream>
#include <thread>

namespace tarn::load {

namespace {

std::string TimeNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char time[64];
  std::snprintf(time, sizeof time, "%02d:%02d:%02d.%03d", parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(now.tv_nsec / 1000000));
  return time;
}

}  // namespace

void Worker::Note(std::string what) {
  if (notes_.size() == kNotesMax) notes_.pop_front();
  notes_.push_back(TimeNow() + " " + std::move(what));
}

void Worker::Fail(const std::string& what) const {
  std::string who = "client " + std::to_string(options_.client) + " vers=" + options_.version +
                    " " + name_ + ": ";
  std::string text;
  for (const std::string& note : notes_) text += "before: " + who + note + "\n";
  text += "ERROR " + TimeNow() + " " + who + what + "\n";
  std::cout << text << std::flush;
  _exit(1);
}

int64_t Worker::Must(int64_t result, std::string_view call, const std::string& path) {
  figures_->calls.fetch_add(1, std::memory_order_relaxed);
  if (result < 0) Fail(std::string(call) + " " + path + ": " + std::strerror(errno));
  return result;
}

int Worker::May(int64_t result, std::initializer_list<int> allowed, std::string_view call,
                const std::string& path) {
  figures_->calls.fetch_add(1, std::memory_order_relaxed);
  if (result >= 0) return 0;
  if (std::find(allowed.begin(), allowed.end(), errno) != allowed.end()) return errno;
  Fail(std::string(call) + " " + path + ": " + std::strerror(errno));
}

void Worker::Check(bool holds, std::string_view what, const std::string& path) {
  if (!holds) Fail(path + ": " + std::string(what));
}

int Worker::Open(const std::string& path, int flags) {
  return static_cast<int>(Must(open(path.c_str(), flags | O_CLOEXEC, 0644), "open", path));
}

void Worker::Close(int file, const std::string& path) {
  Must(close(file), "close", path);
}

void Worker::Sync(int file, const std::string& path) {
  Must(fsync(file), "fsync", path);
}

void Worker::Write(int file, std::string_view bytes, uint64_t at, const std::string& path) {
  while (!bytes.empty()) {
    int64_t done =
        Must(pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at)), "write", path);
    bytes.remove_prefix(done);
    at += done;
  }
}

std::string Worker::Read(int file, uint64_t at, size_t count, const std::string& path) {
  std::string bytes(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    int64_t done =
        Must(pread(file, bytes.data() + filled, count - filled, static_cast<off_t>(at + filled)),
             "read", path);
    if (done == 0) break;
    filled += done;
  }
  bytes.resize(filled);
  figures_->verified_bytes.fetch_add(filled, std::memory_order_relaxed);
  return bytes;
}

std::string Worker::ReadCold(int file, const std::string& path) {
  Sync(file, path);  // dirty pages would stay
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  struct stat status {};
  Must(fstat(file, &status), "fstat", path);
  return Read(file, 0, status.st_size, path);
}

std::vector<std::string> Worker::List(const std::string& directory) {
  DIR* stream = opendir(directory.c_str());
  Must(stream == nullptr ? -1 : 0, "opendir", directory);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  Must(errno == 0 ? 0 : -1, "readdir", directory);
  Must(closedir(stream), "closedir", directory);
  return names;
}

void Worker::MakeDirectory(const std::string& path) {
  Must(mkdir(path.c_str(), 0755), "mkdir", path);
}

void Worker::Sleep(std::chrono::microseconds time) {
  std::this_thread::sleep_for(time);
}

}  // namespace tarn::load
