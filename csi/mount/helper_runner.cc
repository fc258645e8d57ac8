#include "csi/mount/helper_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "common/log.h"

extern char** environ;

namespace tarn::csi {
namespace {

using Instant = std::chrono::steady_clock::time_point;

// How long a killed child may take to die before it counts as stuck.
constexpr std::chrono::milliseconds kDeathGrace{200};

struct Fd {
  int fd = -1;
  ~Fd() {
    if (fd >= 0) close(fd);
  }
};

// A group of its own, so that a kill reaches the child's children; default signals, none blocked.
Result<int> Spawn(const std::string& program, const std::vector<std::string>& arguments,
                  int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  std::string name = "tarn-csi", verb = "helper";
  argv.push_back(name.data());
  argv.push_back(verb.data());
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int failed = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return Error(Code::kInternal, "cannot start " + program + ": " + std::strerror(failed));
  }
  return pid;
}

int MillisecondsLeft(Instant deadline) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

// Reads until the child closes its output; false when the deadline came first.
bool ReadAll(int fd, Instant deadline, std::string& output) {
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    int count = poll(&ready, 1, MillisecondsLeft(deadline));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    char buffer[4096];
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) return true;
    if (output.size() < HelperRunner::kOutputBytesMax) output.append(buffer, got);
  }
}

// The wait status, or -1 when the deadline came first.
int WaitUntil(int pid, Instant deadline) {
  Fd pidfd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0))};
  int status = 0;
  for (;;) {
    if (waitpid(pid, &status, WNOHANG) == pid) return status;
    int left = MillisecondsLeft(deadline);
    if (left == 0) return -1;
    pollfd gone{pidfd.fd, POLLIN, 0};
    // Without pidfds (an old kernel) it is looked at now and then.
    poll(&gone, pidfd.fd >= 0 ? 1 : 0, pidfd.fd >= 0 ? left : std::min(left, 5));
  }
}

}  // namespace

int ReportHelperResult(const Result<std::string>& result) {
  std::string text =
      result.ok() ? *result
                  : std::string(CodeName(result.error().code())) + "\n" + result.error().message();
  size_t sent = 0;
  while (sent < text.size()) {
    ssize_t wrote = write(1, text.data() + sent, text.size() - sent);
    if (wrote <= 0) return 2;
    sent += static_cast<size_t>(wrote);
  }
  return result.ok() ? 0 : 1;
}

Result<std::string> ParseHelperResult(int exit_status, const std::string& output) {
  if (exit_status == 0) return output;
  size_t end = output.find('\n');
  if (exit_status != 1 || end == std::string::npos) {
    return Error(Code::kInternal, "the helper process ended with " + std::to_string(exit_status));
  }
  return Error(CodeOfName(output.substr(0, end)), output.substr(end + 1));
}

Result<void> HelperRunner::MakeRoom() {
  std::lock_guard guard(mu_);
  std::erase_if(stuck_, [](int pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
  if (stuck_.size() < kStuckMax) return Ok();
  return Error(Code::kUnavailable, std::to_string(stuck_.size()) +
                                       " helper processes hang on file servers that do not answer");
}

void HelperRunner::GiveUp(int pid) {
  kill(-pid, SIGKILL);
  if (WaitUntil(pid, std::chrono::steady_clock::now() + kDeathGrace) >= 0) return;
  std::lock_guard guard(mu_);
  stuck_.push_back(pid);
}

Result<std::string> HelperRunner::Run(const std::vector<std::string>& arguments,
                                      std::chrono::milliseconds deadline) {
  TRY(MakeRoom());
  auto until = std::chrono::steady_clock::now() + deadline;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Error(Code::kInternal, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  Fd read_end{ends[0]};
  int pid = 0;
  {
    Fd write_end{ends[1]};
    TRY(pid, Spawn(program_, arguments, write_end.fd));
  }
  std::string output;
  int status = ReadAll(read_end.fd, until, output) ? WaitUntil(pid, until) : -1;
  if (status < 0) {
    GiveUp(pid);
    return Error(Code::kDeadlineExceeded,
                 arguments[0] + " took longer than " + std::to_string(deadline.count()) + " ms");
  }
  return ParseHelperResult(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                           output);
}

}  // namespace tarn::csi
