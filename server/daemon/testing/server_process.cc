#include "server/daemon/testing/server_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace tarn::daemon {

TempDir::TempDir() {
  char name[] = "/tmp/tarn-daemon-XXXXXX";
  if (mkdtemp(name) == nullptr) std::abort();
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ServerProcess::ServerProcess(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = dir_ / "log";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 2, 1);
  if (posix_spawn(&pid_, program.c_str(), &files, nullptr, argv.data(), environ) != 0) pid_ = -1;
  posix_spawn_file_actions_destroy(&files);
}

ServerProcess::~ServerProcess() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

bool ServerProcess::WaitServing() {
  for (int i = 0; i < 3000 && pid_ > 0; ++i) {
    if (Output().find("serves NFS on") != std::string::npos) return true;
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid != 0) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return false;
}

void ServerProcess::Signal(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

int ServerProcess::Wait() {
  int status = 0;
  if (pid_ < 0 || waitpid(pid_, &status, 0) != pid_) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string ServerProcess::Output() const {
  std::ifstream in(dir_ / "log");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

uint16_t ServerProcess::PortAfter(const std::string& words) const {
  // The line may come a moment after the server serves.
  for (int i = 0; i < 500; ++i) {
    std::string output = Output();
    size_t at = output.find(words);
    if (at != std::string::npos && output.find('\n', at) != std::string::npos) {
      return static_cast<uint16_t>(std::atoi(output.c_str() + at + words.size()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return 0;
}

std::set<std::string> OfThreads(pid_t process, const std::string& field) {
  std::set<std::string> values;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(field + ":\t")) values.insert(line.substr(field.size() + 2));
    }
  }
  return values;
}

}  // namespace tarn::daemon
