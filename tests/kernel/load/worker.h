// The mixed load of the soak of the kernel's client: workers, a process each, that change files of
// a mount by system calls and know what must be there. They run through kills of the server, which
// nobody may notice: a system call that fails in a way its worker did not allow, or a byte that is
// not the one written, ends the worker, and the load has failed.
//
// A worker keeps what must be there in its own memory, which outlives the server and the mount: the
// client's machine is not killed. Everything is decided by the seed, except how workers interleave.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::load {

struct Options {
  std::string mount;  // the file system that all clients mount
  std::string host;   // a directory that all clients see without NFS
  int client = 1;     // from 1
  int clients = 1;
  std::string version;  // of the protocol: "4.0", "4.1", "4.2"
  uint64_t seed = 1;
};

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // Of [0, limit); limit > 0.
  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  uint64_t Next() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

// What a worker has done; lies in memory that it shares with the process that started it.
struct Figures {
  std::atomic<uint64_t> steps;
  std::atomic<uint64_t> calls;
  std::atomic<uint64_t> synced_bytes;    // written and synced
  std::atomic<uint64_t> verified_bytes;  // read back and compared
  std::atomic<uint64_t> longest_step_us;
};

// A system call's outcome: at least 0, or -1 with errno.
class Worker {
 public:
  Worker(const Options& options, std::string name, uint64_t seed)
      : options_(options), name_(std::move(name)), dice_(seed) {}
  virtual ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void set_figures(Figures* figures) { figures_ = figures; }
  const std::string& name() const { return name_; }

  virtual void Prepare() = 0;
  virtual void Step() = 0;
  // Compares all that must be there with what the server has; after each kill and at the end.
  virtual void Verify() = 0;
  // Lets go of every file of the mount, and tells other clients what it left.
  virtual void Finish() = 0;
  // When all clients have finished, also about what others left.
  virtual void VerifyAtEnd() { Verify(); }

 protected:
  // The call must have succeeded; gives its result.
  int64_t Must(int64_t result, std::string_view call, const std::string& path);
  // It may also have failed with one of these; gives 0 or that errno.
  int May(int64_t result, std::initializer_list<int> allowed, std::string_view call,
          const std::string& path);
  void Check(bool holds, std::string_view what, const std::string& path);
  // Tells of what was done last when the worker fails.
  void Note(std::string what);
  [[noreturn]] void Fail(const std::string& what) const;

  int Open(const std::string& path, int flags);
  void Close(int file, const std::string& path);
  void Sync(int file, const std::string& path);
  void Write(int file, std::string_view bytes, uint64_t at, const std::string& path);
  std::string Read(int file, uint64_t at, size_t count, const std::string& path);
  // Reads a whole file from the server, not from what the client keeps of it.
  std::string ReadCold(int file, const std::string& path);
  std::vector<std::string> List(const std::string& directory);
  void MakeDirectory(const std::string& path);
  static void Sleep(std::chrono::microseconds time);

  std::string In(std::string_view directory) const {
    return options_.mount + "/" + std::string(directory);
  }
  bool is(std::string_view version) const { return options_.version == version; }

  const Options options_;
  const std::string name_;
  Random dice_;
  Figures* figures_ = nullptr;

 private:
  static constexpr size_t kNotesMax = 60;
  std::deque<std::string> notes_;
};

// Every worker of a client; set_figures is still to be called.
std::vector<std::unique_ptr<Worker>> MakeWorkers(const Options& options);

}  // namespace tarn::load
