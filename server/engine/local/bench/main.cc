// engine_local_bench DIR [THREADS]: how fast the local engine is on that disk, beside plain files.
// engine_local_bench DIR encrypted: an encrypted file system beside one that is not.
//
// Prints a line for each measure; those with "ratio" are beside the same bytes written to or read
// from plain files with the same syncs in the same directory, in the same run.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/crypto/secret_bytes.h"
#include "server/engine/local/local_engine.h"

namespace tarn {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

constexpr int kFilesPerThread = 2000;
constexpr uint64_t kSequentialBytes = 512u << 20;
const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "engine_local_bench: %s\n", what.c_str());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result) Die(result.error().ToString());
  return std::move(*result);
}
void Must(const Result<void>& result) {
  if (!result) Die(result.error().ToString());
}

double Seconds(const std::function<void()>& work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Of the whole process, also in the kernel.
double ProcessorSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double InParallel(int threads, const std::function<void(int)>& work) {
  return Seconds([&] {
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) all.emplace_back(work, i);
    for (auto& thread : all) thread.join();
  });
}

void PlainWrite(int fd, uint64_t offset, const std::string& data) {
  if (::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset)) !=
      static_cast<ssize_t>(data.size())) {
    Die("write");
  }
}

class Bench {
 public:
  Bench(const std::string& directory, int threads) : directory_(directory), threads_(threads) {
    LocalOptions options;
    options.data_dir = directory + "/engine";
    engine_ = Must(OpenLocalEngine(options));
    fs_ = Must(engine_->GetFileSystem(Must(engine_->CreateFileSystem())));
    top_ = Must(fs_->RealmRoot(kRootRealm));
    std::filesystem::create_directories(directory + "/plain");
  }

  void Run() {
    Names(1);
    Names(threads_);
    SmallFiles();
    Overwrites();
    Sequential();
  }

 private:
  FileId Directory(const std::string& name) {
    CreateOptions options;
    options.type = FileType::kDirectory;
    return Must(fs_->Create(kRoot, top_, name, options)).attributes.id;
  }

  // Creation, GETATTR, listing and removal of empty files, by so many threads in one directory.
  void Names(int threads) {
    FileId directory = Directory("names" + std::to_string(threads));
    int files = kFilesPerThread * threads;
    auto name = [](int thread, int i) { return std::to_string(thread) + "-" + std::to_string(i); };
    double create = InParallel(threads, [&](int thread) {
      for (int i = 0; i < kFilesPerThread; ++i) {
        Must(fs_->Create(kRoot, directory, name(thread, i), {}));
      }
    });
    double plain = InParallel(threads, [&](int thread) {
      int above = ::open((directory_ + "/plain").c_str(), O_RDONLY | O_DIRECTORY);
      for (int i = 0; i < kFilesPerThread / 10; ++i) {
        int fd = ::openat(above, name(thread, i).c_str(), O_CREAT | O_WRONLY, 0600);
        if (fd < 0 || ::fsync(above) != 0) Die("create");
        ::close(fd);
      }
      ::close(above);
    });
    FileId one = Must(fs_->Lookup(kRoot, directory, name(0, 0))).id;
    constexpr int kGets = 1'000'000;
    double get = Seconds([&] {
      for (int i = 0; i < kGets; ++i) (void)fs_->GetAttributes(kRoot, one);
    });
    double lookup = Seconds([&] {
      for (int i = 0; i < files; ++i) {
        (void)fs_->Lookup(kRoot, directory, name(i % threads, i / threads));
      }
    });
    double list = Seconds([&] {
      Must(fs_->ReadDirectory(kRoot, directory, 0, true, [](const auto&) { return true; }));
    });
    double remove = InParallel(threads, [&](int thread) {
      for (int i = 0; i < kFilesPerThread; ++i) {
        Must(fs_->Remove(kRoot, directory, name(thread, i)));
      }
    });
    const int plain_files = threads * (kFilesPerThread / 10);
    std::printf("%d threads: create %.0f/s (ratio to plain create and fsync %.2f)\n", threads,
                files / create, files / create / (plain_files / plain));
    std::printf("%d threads: remove %.0f/s\n", threads, files / remove);
    std::printf("getattr %.2f us, lookup %.2f us, list with attributes %.2f us an entry\n",
                get / kGets * 1e6, lookup / files * 1e6, list / files * 1e6);
  }

  void SmallFiles() {
    for (size_t bytes : {4096u, 16384u, 65536u}) {
      FileId directory = Directory("small" + std::to_string(bytes));
      std::string data(bytes, 's');
      int each = kFilesPerThread / 4;
      double engine = InParallel(threads_, [&](int thread) {
        for (int i = 0; i < each; ++i) {
          std::string name = std::to_string(thread) + "-" + std::to_string(i);
          FileId file = Must(fs_->Create(kRoot, directory, name, {})).attributes.id;
          Must(fs_->Write(kRoot, file, false, 0, std::as_bytes(std::span(data)),
                          Stability::kUnstable));
          Must(fs_->Commit(kRoot, file, 0, 0));
        }
      });
      double plain = InParallel(threads_, [&](int thread) {
        for (int i = 0; i < each / 4; ++i) {
          std::string path = directory_ + "/plain/s" + std::to_string(bytes) + "-" +
                             std::to_string(thread) + "-" + std::to_string(i);
          int fd = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
          PlainWrite(fd, 0, data);
          if (::fsync(fd) != 0) Die("fsync");
          ::close(fd);
        }
      });
      const int plain_files = threads_ * (each / 4);
      std::printf("%d threads: create, write %zu, commit: %.0f/s (ratio to plain %.2f)\n", threads_,
                  bytes, each * threads_ / engine,
                  (each * threads_ / engine) / (plain_files / plain));
    }
  }

  // 4 KiB into the middle of a large file, each one stable.
  void Overwrites() {
    FileId file = Must(fs_->Create(kRoot, top_, "overwrites", {})).attributes.id;
    std::string data(4096, 'o');
    std::string path = directory_ + "/plain/overwrites";
    int fd = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
    std::string block(1 << 20, 'b');
    for (uint64_t at = 0; at < 64u << 20; at += block.size()) {
      Must(fs_->Write(kRoot, file, false, at, std::as_bytes(std::span(block)),
                      Stability::kUnstable));
      PlainWrite(fd, at, block);
    }
    Must(fs_->Commit(kRoot, file, 0, 0));
    if (::fsync(fd) != 0) Die("fsync");
    constexpr int kWrites = 500;
    auto offset = [](int i) { return static_cast<uint64_t>(i * 7919 % 16384) * 4096; };
    double engine = Seconds([&] {
      for (int i = 0; i < kWrites; ++i) {
        Must(fs_->Write(kRoot, file, false, offset(i), std::as_bytes(std::span(data)),
                        Stability::kFileSync));
      }
    });
    double plain = Seconds([&] {
      for (int i = 0; i < kWrites; ++i) {
        PlainWrite(fd, offset(i), data);
        if (::fdatasync(fd) != 0) Die("fdatasync");
      }
    });
    ::close(fd);
    std::printf("4 KiB stable overwrites: %.0f/s (ratio to plain %.2f)\n", kWrites / engine,
                plain / engine);
  }

  void Sequential() {
    FileId file = Must(fs_->Create(kRoot, top_, "sequential", {})).attributes.id;
    std::string block(1 << 20, 'q');
    double engine = Seconds([&] {
      for (uint64_t at = 0; at < kSequentialBytes; at += block.size()) {
        Must(fs_->Write(kRoot, file, false, at, std::as_bytes(std::span(block)),
                        Stability::kUnstable));
      }
      Must(fs_->Commit(kRoot, file, 0, 0));
    });
    std::string path = directory_ + "/plain/sequential";
    int fd = ::open(path.c_str(), O_CREAT | O_RDWR, 0600);
    double plain = Seconds([&] {
      for (uint64_t at = 0; at < kSequentialBytes; at += block.size()) PlainWrite(fd, at, block);
      if (::fdatasync(fd) != 0) Die("fdatasync");
    });
    double read = Seconds([&] {
      for (uint64_t at = 0; at < kSequentialBytes; at += block.size()) {
        (void)fs_->Read(kRoot, file, false, at, std::as_writable_bytes(std::span(block)));
      }
    });
    double plain_read = Seconds([&] {
      for (uint64_t at = 0; at < kSequentialBytes; at += block.size()) {
        if (::pread(fd, block.data(), block.size(), static_cast<off_t>(at)) < 0) Die("read");
      }
    });
    ::close(fd);
    constexpr double kMiB = 1 << 20;
    std::printf(
        "sequential write %.0f MiB/s (ratio to plain %.2f), cached read %.0f MiB/s (%.2f)\n",
        kSequentialBytes / kMiB / engine, plain / engine, kSequentialBytes / kMiB / read,
        plain_read / read);
  }

  const std::string directory_;
  const int threads_;
  std::unique_ptr<Engine> engine_;
  FileSystem* fs_ = nullptr;
  FileId top_;
};

// Both in one store, by turns, so that what else the machine does hits both.
class EncryptedBeside {
 public:
  explicit EncryptedBeside(const std::string& directory) : chunks_(directory + "/engine/chunks") {
    LocalOptions options;
    options.data_dir = directory + "/engine";
    engine_ = Must(OpenLocalEngine(options));
    const SecretBytes key = Must(RandomSecret(kKeyBytes));
    for (const SecretBytes* chosen : {static_cast<const SecretBytes*>(nullptr), &key}) {
      files_.push_back(Must(engine_->GetFileSystem(Must(engine_->CreateFileSystem(chosen)))));
      FileId top = Must(files_.back()->RealmRoot(kRootRealm));
      data_.push_back(Must(files_.back()->Create(kRoot, top, "data", {})).attributes.id);
      WriteAll(*files_.back(), data_.back());
    }
  }

  void Run() {
    Compare("sequential write and commit, 1 MiB each", [&](FileSystem& fs) {
      FileId top = Must(fs.RealmRoot(kRootRealm));
      FileId fresh = Must(fs.Create(kRoot, top, "fresh", {})).attributes.id;
      WriteAll(fs, fresh);
      Must(fs.Remove(kRoot, top, "fresh"));
    });
    Compare(
        "sequential read, 1 MiB each, from the disk", [&](FileSystem& fs) { ReadAll(fs, 1 << 20); },
        [&] { DropCaches(); });
    Compare("sequential read, 1 MiB each, cached", [&](FileSystem& fs) { ReadAll(fs, 1 << 20); });
    Compare("sequential read, 4 KiB each, cached", [&](FileSystem& fs) { ReadAll(fs, 4096); });
    Compare("create empty files", [&](FileSystem& fs) {
      for (int i = 0; i < kFiles; ++i) {
        Must(fs.Create(kRoot, Must(fs.RealmRoot(kRootRealm)), Name(i), {}));
      }
    });
    Compare("look up names", [&](FileSystem& fs) {
      for (int i = 0; i < kFiles; ++i) {
        Must(fs.Lookup(kRoot, Must(fs.RealmRoot(kRootRealm)), Name(i)));
      }
    });
    Compare("stable writes of 4 KiB", [&](FileSystem& fs) {
      std::string block(4096, 'o');
      for (uint64_t i = 0; i < 300; ++i) {
        Must(fs.Write(kRoot, file_, false, i * 7919 % 16384 * 4096, std::as_bytes(std::span(block)),
                      Stability::kFileSync));
      }
    });
  }

 private:
  static constexpr int kRounds = 5;
  static constexpr int kFiles = 1000;
  static constexpr uint64_t kBytes = 256u << 20;

  std::string Name(int i) const { return std::to_string(round_) + "-" + std::to_string(i); }

  void WriteAll(FileSystem& fs, FileId file) {
    std::string block(1 << 20, 'q');
    for (uint64_t at = 0; at < kBytes; at += block.size()) {
      Must(fs.Write(kRoot, file, false, at, std::as_bytes(std::span(block)), Stability::kUnstable));
    }
    Must(fs.Commit(kRoot, file, 0, 0));
  }
  void ReadAll(FileSystem& fs, size_t bytes) {
    std::string block(bytes, 'q');
    for (uint64_t at = 0; at < kBytes; at += bytes) {
      Must(fs.Read(kRoot, file_, false, at, std::as_writable_bytes(std::span(block))));
    }
  }

  void DropCaches() {
    for (auto& at : std::filesystem::recursive_directory_iterator(chunks_)) {
      int fd = at.is_regular_file() ? ::open(at.path().c_str(), O_RDONLY) : -1;
      if (fd < 0) continue;
      if (::fdatasync(fd) != 0 || ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
        Die("drop caches");
      }
      ::close(fd);
    }
  }

  // The best of some rounds each, since what disturbs a round only makes it slower.
  void Compare(const char* what, const std::function<void(FileSystem&)>& work,
               const std::function<void()>& before = {}) {
    double best[2] = {1e9, 1e9};
    double processor[2] = {1e9, 1e9};
    for (round_ = 0; round_ < kRounds; ++round_) {
      for (size_t i = 0; i < files_.size(); ++i) {
        file_ = data_[i];
        if (before) before();
        double used = ProcessorSeconds();
        best[i] = std::min(best[i], Seconds([&] { work(*files_[i]); }));
        processor[i] = std::min(processor[i], ProcessorSeconds() - used);
      }
    }
    std::printf("%-44s %.3f s, encrypted %.3f s: ratio %.2f; processor %.3f and %.3f s\n", what,
                best[0], best[1], best[0] / best[1], processor[0], processor[1]);
  }

  const std::string chunks_;
  std::unique_ptr<Engine> engine_;
  std::vector<FileSystem*> files_;
  std::vector<FileId> data_;  // a file of kBytes in each
  FileId file_;               // that of the one whose turn it is
  int round_ = 0;
};

}  // namespace
}  // namespace tarn

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: engine_local_bench DIR [THREADS | encrypted]\n");
    return 2;
  }
  if (argc > 2 && std::string(argv[2]) == "encrypted") {
    tarn::EncryptedBeside(argv[1]).Run();
    return 0;
  }
  tarn::Bench(argv[1], argc > 2 ? std::stoi(argv[2]) : 8).Run();
  return 0;
}
