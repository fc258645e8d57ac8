#include "mount/mount_log.h"

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>

#include "common/log.h"

namespace tarn::mount {
namespace {

// Opens the file for each line, so that it matters to no other process when one renames it.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::string file) : file_(std::move(file)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    int fd = open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return;
    (void)!write(fd, line.data(), line.size());
    struct stat info {};
    bool large = fstat(fd, &info) == 0 && static_cast<size_t>(info.st_size) >= kLogBytesMax;
    close(fd);
    if (large) (void)!std::rename(file_.c_str(), (file_ + ".1").c_str());
  }
  void flush_() override {}

 private:
  const std::string file_;
};

}  // namespace

void LogToFile(const std::string& program, const std::string& file) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), ignored);
  auto logger = std::make_shared<spdlog::logger>(program, std::make_shared<FileSink>(file));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %n[%P] %l %v", spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace tarn::mount
