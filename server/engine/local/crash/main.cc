// engine_local_worker: the process that tests of the local engine kill, or starve of disk.
//
//   engine_local_worker run DIR LOGS SEED [KEY]
//                                           works in four threads until it is killed; with a key
//                                           of 32 letters, in an encrypted file system
//   engine_local_worker full DIR            mounts a small tmpfs on DIR, in a mount namespace of
//   its
//                                           own, and shows that a full disk loses nothing
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <thread>

#include "common/crypto/secret_bytes.h"
#include "common/log.h"
#include "server/engine/local/crash/workload.h"
#include "server/engine/local/local_engine.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

constexpr int kThreads = 4;
const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

#define REQUIRE(condition)                                                     \
  do {                                                                         \
    if (!(condition)) {                                                        \
      std::cerr << "line " << __LINE__ << ": " << #condition << " is false\n"; \
      return 1;                                                                \
    }                                                                          \
  } while (false)

LocalOptions Small(const std::string& directory) {
  LocalOptions options;
  options.data_dir = directory;
  // Small buffers, so that flushes, compactions and changes of the log happen within a short run.
  options.write_buffer_bytes = 256u << 10;
  options.block_cache_bytes = 4u << 20;
  options.maintenance_interval = std::chrono::milliseconds(20);
  options.write_back_after = std::chrono::seconds(0);
  return options;
}

Result<FileId> MakeDirectory(FileSystem& fs, FileId above, const std::string& name) {
  CreateOptions options;
  options.type = FileType::kDirectory;
  TRY(auto made, fs.Create(kRoot, above, name, options));
  return made.attributes.id;
}

// Makes trees, turns them into realms, and removes those again.
void RunRealms(FileSystem& fs, FileId top, const std::string& name) {
  std::string data(20'000, 'r');
  for (int round = 0;; ++round) {
    std::string tree = name + "-realm" + std::to_string(round % 3);
    auto root = MakeDirectory(fs, top, tree);
    for (int i = 0; root.ok() && i < 30; ++i) {
      auto below = i % 5 == 0 ? MakeDirectory(fs, *root, "d" + std::to_string(i)) : root;
      auto made = fs.Create(kRoot, below ? *below : *root, "f" + std::to_string(i), {});
      if (!made) continue;
      (void)fs.Write(kRoot, made->attributes.id, false, 0, std::as_bytes(std::span(data)),
                     Stability::kUnstable);
    }
    auto realm = fs.EnsureRealm("/" + tree, std::nullopt);
    if (!realm) continue;
    bool keep = round % 2 == 0;
    (void)fs.RemoveRealm(*realm, !keep);
    if (!keep) continue;
    realm = fs.EnsureRealm("/" + tree, std::nullopt);
    if (realm) (void)fs.RemoveRealm(*realm, true);
  }
}

int Run(const std::string& directory, const std::string& logs, uint64_t seed,
        const SecretBytes& key) {
  auto engine = OpenLocalEngine(Small(directory));
  if (!engine) {
    std::cerr << engine.error().ToString() << "\n";
    return 1;
  }
  auto fs = (*engine)->GetFileSystem(1);
  if (!fs) {
    REQUIRE((*engine)->CreateFileSystem(key.empty() ? nullptr : &key).ok());
    fs = (*engine)->GetFileSystem(1);
  }
  REQUIRE(key.empty() || (*engine)->Unlock(1, key).ok());
  FileSystem& files = **fs;
  auto top = files.RealmRoot(kRootRealm);
  REQUIRE(top.ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    std::string name = "run" + std::to_string(seed) + "-" + std::to_string(i);
    auto own = MakeDirectory(files, *top, name);
    REQUIRE(own.ok());
    threads.emplace_back([&files, own = *own, name, &logs, seed, i] {
      auto result = RunWorkload(files, own, seed * 100 + static_cast<uint64_t>(i),
                                logs + "/" + name, ~uint64_t{0});
      std::cerr << "workload ended: " << result.error().ToString() << "\n";
      ::_exit(1);
    });
  }
  threads.emplace_back([&] { RunRealms(files, *top, "run" + std::to_string(seed)); });
  std::cout << "ready" << std::endl;
  for (std::thread& thread : threads) thread.join();
  return 0;
}

bool EnterNamespace(const std::string& directory) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("tarn", directory.c_str(), "tmpfs", 0, "size=192m,mode=0700") == 0;
}

bool Write(FileSystem& fs, FileId directory, const std::string& name, size_t bytes) {
  auto file = fs.Create(kRoot, directory, name, {});
  std::string block(1 << 20, 'l');
  for (size_t at = 0; file.ok() && at < bytes; at += block.size()) {
    auto written = fs.Write(kRoot, file->attributes.id, false, at, std::as_bytes(std::span(block)),
                            Stability::kUnstable);
    if (!written || written->bytes != block.size()) return false;
  }
  return file.ok() && fs.Commit(kRoot, file->attributes.id, 0, 0).ok();
}

// Writes files until the disk is full; the code of the first refusal.
Code Fill(FileSystem& fs, FileId directory, size_t bytes, int* made) {
  std::string data(bytes, 'f');
  for (;; ++*made) {
    auto file = fs.Create(kRoot, directory, "f" + std::to_string(*made), {});
    if (!file) return file.code();
    auto written = fs.Write(kRoot, file->attributes.id, false, 0, std::as_bytes(std::span(data)),
                            Stability::kFileSync);
    if (!written) return written.code();
    if (written->bytes != bytes) return Code::kNoSpace;
  }
}

bool RemoveAll(FileSystem& fs, FileId directory, int made) {
  for (int i = 0; i < made; ++i) {
    auto removed = fs.Remove(kRoot, directory, "f" + std::to_string(i));
    if (!removed) {
      std::cerr << i << " of " << made << ": " << removed.error().ToString() << "\n";
      return false;
    }
  }
  // The one that was refused may have its name.
  (void)fs.Remove(kRoot, directory, "f" + std::to_string(made));
  return true;
}

// To the last byte, so that the log itself cannot grow.
bool OthersFillTheDisk(FileSystem& fs, FileId top, const std::string& directory) {
  constexpr int kNames = 20'000;
  constexpr int kRemoved = 2000;
  int made = 0;
  for (int waits = 0; made < kRemoved && waits < 500;) {
    if (fs.Create(kRoot, top, "g" + std::to_string(made), {}).ok()) {
      ++made;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      ++waits;
    }
  }
  // What keeps removing possible comes back as soon as there is room for it.
  std::string ballast = directory + "/data/ballast";
  for (int i = 0; i < 3000 && !std::filesystem::exists(ballast); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (!std::filesystem::exists(ballast)) {
    std::cerr << "the reserve does not come back although there is room for it\n";
    return false;
  }
  std::string filler = directory + "/filler";
  FILE* file = std::fopen(filler.c_str(), "w");
  std::string block(4096, 'x');
  while (file != nullptr && std::fwrite(block.data(), 1, block.size(), file) == block.size() &&
         std::fflush(file) == 0) {
  }
  if (file != nullptr) std::fclose(file);
  Code code = Code::kOk;
  std::string longest(200, 'g');
  for (; made < kNames && code == Code::kOk; ++made) {
    code = fs.Create(kRoot, top, longest + std::to_string(made), {}).code();
  }
  if (code != Code::kNoSpace) {
    std::cerr << "creation on a full disk: " << CodeName(code) << "\n";
    return false;
  }
  for (int i = 0; i < kRemoved; ++i) {
    auto removed = fs.Remove(kRoot, top, "g" + std::to_string(i));
    if (removed.ok()) continue;
    std::cerr << "g" << i << ": " << removed.error().ToString() << "\n";
    return false;
  }
  std::filesystem::remove(filler);
  for (int i = 0; i < 500; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (fs.Create(kRoot, top, "h", {}).ok()) return true;
  }
  std::cerr << "no space although the filler is gone\n";
  return false;
}

int Full(const std::string& directory) {
  if (!EnterNamespace(directory)) {
    std::cerr << "cannot mount a tmpfs: " << std::strerror(errno) << "\n";
    return 1;
  }
  LocalOptions options = Small(directory + "/data");
  int made = 0;
  FileId kept;
  {
    auto engine = OpenLocalEngine(options);
    REQUIRE(engine.ok());
    REQUIRE((*engine)->CreateFileSystem().ok());
    FileSystem& fs = **(*engine)->GetFileSystem(1);
    FileId top = *fs.RealmRoot(kRootRealm);
    kept = fs.Create(kRoot, top, "kept", {})->attributes.id;
    std::string text = "kept bytes";
    auto bytes = std::as_bytes(std::span(text));
    REQUIRE(fs.Write(kRoot, kept, false, 0, bytes, Stability::kFileSync).ok());
    REQUIRE(Write(fs, top, "large", 100 << 20));
    REQUIRE(Fill(fs, top, 512 << 10, &made) == Code::kNoSpace);
    REQUIRE(made > 10);
    // Reading goes on, and so does removing; then there is space again.
    std::string back(text.size(), '?');
    REQUIRE(fs.Read(kRoot, kept, false, 0, std::as_writable_bytes(std::span(back))).ok());
    REQUIRE(back == text);
    REQUIRE(RemoveAll(fs, top, made));
    Code code = Code::kNoSpace;
    for (int i = 0; i < 500 && code != Code::kOk; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      auto again = fs.Create(kRoot, top, "again", {});
      code = again ? Code::kOk : again.code();
    }
    REQUIRE(code == Code::kOk);
    // Small files fill the database.
    made = 0;
    REQUIRE(Fill(fs, top, 9000, &made) == Code::kNoSpace);
    REQUIRE(fs.Read(kRoot, kept, false, 0, std::as_writable_bytes(std::span(back))).ok());
    REQUIRE(RemoveAll(fs, top, made));
    REQUIRE(OthersFillTheDisk(fs, top, directory));
    auto problems = fs.Check([](std::string_view line) { std::cerr << line << "\n"; });
    REQUIRE(problems.ok() && *problems == 0);
  }
  auto engine = OpenLocalEngine(options);
  REQUIRE(engine.ok());
  FileSystem& fs = **(*engine)->GetFileSystem(1);
  std::string back(10, '?');
  REQUIRE(fs.Read(kRoot, kept, false, 0, std::as_writable_bytes(std::span(back))).ok());
  REQUIRE(back == "kept bytes");
  return 0;
}

}  // namespace
}  // namespace tarn::local

int main(int argc, char** argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  // Not to standard output: that tells the test that we are ready, and it reads no more of it.
  if (!tarn::StartLogging("engine_local_worker", "info").ok()) return 1;
  if (mode == "run" && (argc == 5 || argc == 6)) {
    const tarn::SecretBytes key{std::string_view(argc == 6 ? argv[5] : "")};
    return tarn::local::Run(argv[2], argv[3], std::stoull(argv[4]), key);
  }
  if (mode == "full" && argc == 3) return tarn::local::Full(argv[2]);
  std::cerr << "usage: engine_local_worker run DIR LOGS SEED [KEY] | full DIR\n";
  return 2;
}
