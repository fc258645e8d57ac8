// A tarn-server as a process of its own, for tests: on ports of the system's choice, in a directory
// that goes with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace tarn::daemon {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ServerProcess {
 public:
  // `program` with these arguments; stderr goes to a file.
  ServerProcess(const std::string& program, std::vector<std::string> arguments);
  // Kills it if it still runs.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Waits until it serves (true) or has ended.
  bool WaitServing();
  void Signal(int signal) const;
  // Waits for its end: the exit code, or 128 and the signal's number.
  int Wait();
  // All it wrote to stderr and stdout so far.
  std::string Output() const;

  pid_t pid() const { return pid_; }
  uint16_t nfs_port() const { return PortAfter("serves NFS on 127.0.0.1:"); }
  uint16_t http_port() const { return PortAfter("http on port "); }
  uint16_t control_port() const { return PortAfter("control on port "); }

 private:
  uint16_t PortAfter(const std::string& words) const;

  TempDir dir_;
  pid_t pid_ = -1;
};

// Of each thread of a process, the value of `field` in its status ("Seccomp"; proc(5)).
std::set<std::string> OfThreads(pid_t process, const std::string& field);

}  // namespace tarn::daemon
