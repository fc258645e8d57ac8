#include "csi/mount/fuse_start.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace tarn::csi {
namespace {

constexpr off_t kLogBytesMax = 1 << 20;
constexpr int kReadyFd = 3;
constexpr off_t kReasonBytesMax = 1024;

bool WriteFile(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return good;
}

// Into DIRECTORY/NAME, or DIRECTORY itself: a cpuset of version 1 takes no process until it is
// configured.
bool Enter(const std::string& directory, const std::string& name) {
  std::string own = directory + "/" + name;
  std::string pid = std::to_string(getpid());
  bool made = mkdir(own.c_str(), 0755) == 0 || errno == EEXIST;
  if (made && WriteFile(own + "/cgroup.procs", pid)) return true;
  return WriteFile(directory + "/cgroup.procs", pid);
}

int OpenLog(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat info {};
  if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > kLogBytesMax) {
    if (ftruncate(fd, 0) != 0) return fd;
  }
  return fd;
}

// In the new process: no return.
[[noreturn]] void Exec(const FuseStart& start, int log, int ready) {
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  // The pipe may itself be at 3, which dup2 would leave with close-on-exec.
  int moved = fcntl(ready, F_DUPFD_CLOEXEC, kReadyFd + 1);
  dup2(null, 0);
  dup2(log >= 0 ? log : null, 1);
  dup2(log >= 0 ? log : null, 2);
  dup2(moved, kReadyFd);
  if (chdir("/") != 0) _exit(126);
  std::vector<std::string> words = {"tarn-csi", "fuse", "--mountpoint", start.target};
  words.insert(words.end(), start.arguments.begin(), start.arguments.end());
  words.push_back("--ready-fd");
  words.push_back(std::to_string(kReadyFd));
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv("/proc/self/exe", argv.data());
  _exit(127);
}

off_t SizeOf(int fd) {
  struct stat info {};
  return fd >= 0 && fstat(fd, &info) == 0 ? info.st_size : 0;
}

// The last line that was written to the log since `from`: why it ended.
std::string LastLine(const std::string& path, off_t from) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "it ended at once";
  off_t at = std::max(from, SizeOf(fd) - kReasonBytesMax);
  char buffer[kReasonBytesMax];
  ssize_t got = pread(fd, buffer, sizeof buffer, at);
  close(fd);
  std::string text(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return text.empty() ? "it ended at once" : text;
}

// The first line that comes through `fd`; what there is when the writer is gone; kDeadlineExceeded.
Result<std::string> ReadLine(int fd, std::chrono::milliseconds wait) {
  auto deadline = std::chrono::steady_clock::now() + wait;
  std::string line;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
      return Error(Code::kDeadlineExceeded,
                   "the server did not answer within " + std::to_string(wait.count()) + " ms");
    }
    char buffer[1024];
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got > 0) line.append(buffer, static_cast<size_t>(got));
    size_t end = line.find('\n');
    if (end != std::string::npos) return line.substr(0, end);
    if (got <= 0) return line;
  }
}

// What it said of itself, "error CODE MESSAGE", or some other last words.
Error ParseFailure(const std::string& line) {
  constexpr std::string_view kError = "error ";
  size_t end = line.find(' ', kError.size());
  if (!line.starts_with(kError) || end == std::string::npos) return Error(Code::kInternal, line);
  return Error(CodeOfName(line.substr(kError.size(), end - kError.size())), line.substr(end + 1));
}

}  // namespace

Result<void> LeaveCgroup(const std::string& root, const std::string& name) {
  // Where control groups have namespaces, the way out is the one of process 1 (hostPID).
  int host = open("/proc/1/ns/cgroup", O_RDONLY | O_CLOEXEC);
  if (host >= 0) {
    // Without the right to it we stay in ours, which is the host's in a privileged container.
    (void)!setns(host, CLONE_NEWCGROUP);
    close(host);
  }
  bool one = false;
  if (access((root + "/cgroup.controllers").c_str(), F_OK) == 0) {
    one = Enter(root, name);
  } else {
    std::error_code failed;
    std::filesystem::directory_iterator at(root, failed), end;
    for (; !failed && at != end; at.increment(failed)) {
      if (at->is_symlink() || !at->is_directory()) continue;  // links name joined controllers
      one = Enter(at->path(), name) || one;
    }
  }
  if (one) return Ok();
  return Error(Code::kUnavailable, "no cgroup under " + root + " could be entered");
}

Result<void> StartFuseProcess(const FuseStart& start) {
  int log = OpenLog(start.log_file);
  if (!start.cgroup.empty()) {
    auto left = LeaveCgroup("/sys/fs/cgroup", start.cgroup);
    if (!left.ok() && log >= 0) dprintf(log, "warning: %s\n", left.error().message().c_str());
  }
  off_t from = SizeOf(log);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error(Code::kInternal, "cannot make a pipe");
  pid_t pid = fork();
  if (pid < 0) return Error(Code::kInternal, std::string("cannot fork: ") + std::strerror(errno));
  if (pid == 0) Exec(start, log, ends[1]);
  close(ends[1]);
  Result<std::string> line = ReadLine(ends[0], start.deadline);
  if (line.ok() && *line == "ok") return Ok();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  if (!line.ok()) return std::move(line).error();
  return ParseFailure(line->empty() ? LastLine(start.log_file, from) : *line);
}

}  // namespace tarn::csi
