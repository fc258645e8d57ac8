#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "tests/kernel/load/content.h"
#include "tests/kernel/load/workers.h"

namespace tarn::load {
namespace {

constexpr uint64_t kPublished = 4;  // files of each client
constexpr uint64_t kNames = 6;      // that only one can have
constexpr uint64_t kBodyMax = 60000;

}  // namespace

SharedWorker::SharedWorker(const Options& options, const std::string& name, uint64_t seed)
    : Worker(options, name, seed),
      directory_(In("shared")),
      own_(In("shared/own-" + std::to_string(options.client))),
      versions_(kPublished) {}

void SharedWorker::Prepare() {
  Close(Open(own_, O_WRONLY | O_CREAT), own_);
}

void SharedWorker::Step() {
  switch (dice_.Below(8)) {
    case 0:
    case 1:
      return Publish();
    case 2:
    case 3:
    case 4:
      return ReadPublished();
    case 5:
      return TakeByLink();
    case 6:
      return TakeByDirectory();
    default:
      return ChurnName();
  }
}

std::string SharedWorker::Published(int client, uint64_t number) const {
  return directory_ + "/published-" + std::to_string(client) + "-" + std::to_string(number);
}

std::string SharedWorker::Document(int client, uint64_t number, uint64_t version) const {
  uint64_t sequence = (version * 1000 + number) * 1000 + static_cast<uint64_t>(client);
  std::string head = "version " + std::to_string(version) + "\n";
  return head + Bytes(sequence, 0, Hash(head) % kBodyMax);
}

void SharedWorker::Publish() {
  const uint64_t number = dice_.Below(kPublished);
  std::string path = Published(options_.client, number);
  std::string temporary = path + ".new";
  std::string document = Document(options_.client, number, versions_[number] + 1);
  int file = Open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  Write(file, document, 0, temporary);
  Sync(file, temporary);
  Close(file, temporary);
  Must(rename(temporary.c_str(), path.c_str()), "rename", temporary);
  figures_->synced_bytes.fetch_add(document.size(), std::memory_order_relaxed);
  ++versions_[number];
}

uint64_t SharedWorker::Version(int client, uint64_t number, const std::string& bytes) {
  uint64_t version = 0;
  std::string path = Published(client, number);
  Check(std::sscanf(bytes.c_str(), "version %lu\n", &version) == 1, "no version in it", path);
  std::string difference = Difference(Document(client, number, version), bytes);
  Check(difference.empty(), difference, path);
  uint64_t& seen = seen_[{client, number}];
  Check(version >= seen, "version " + std::to_string(version) + " after " + std::to_string(seen),
        path);
  seen = version;
  return version;
}

// Whole files only are seen, and never an older one; what is open stays as it was, though its name
// may have gone to another file.
void SharedWorker::ReadPublished() {
  const int client = static_cast<int>(dice_.Between(1, options_.clients));
  const uint64_t number = dice_.Below(kPublished);
  std::string path = Published(client, number);
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (seen_[{client, number}] == 0) {
    if (May(file, {ENOENT}, "open", path) != 0) return;
  }
  Must(file, "open", path);
  std::string bytes = ReadCold(file, path);
  Version(client, number, bytes);
  if (dice_.OneIn(4)) {
    Sleep(std::chrono::milliseconds(dice_.Below(300)));
    std::string again = ReadCold(file, path);
    std::string difference = Difference(bytes, again);
    Check(difference.empty(), "an open file changed: " + difference, path);
  }
  Close(file, path);
}

void SharedWorker::TakeByLink() {
  std::string name = "link-" + std::to_string(dice_.Below(kNames));
  std::string path = directory_ + "/" + name;
  if (May(link(own_.c_str(), path.c_str()), {EEXIST}, "link", path) != 0) return;
  std::string witness = options_.host + "/witness-" + name;
  Check(mkdir(witness.c_str(), 0755) == 0, "somebody else has the name too", path);
  struct stat status {};
  Must(stat(own_.c_str(), &status), "stat", own_);
  Check(status.st_nlink >= 2, "one link only", own_);
  if (dice_.OneIn(2)) Sleep(std::chrono::milliseconds(dice_.Below(20)));
  Check(rmdir(witness.c_str()) == 0, "the witness is gone", path);
  Must(unlink(path.c_str()), "unlink", path);
}

void SharedWorker::TakeByDirectory() {
  std::string name = "directory-" + std::to_string(dice_.Below(kNames));
  std::string path = directory_ + "/" + name;
  if (May(mkdir(path.c_str(), 0755), {EEXIST}, "mkdir", path) != 0) return;
  std::string witness = options_.host + "/witness-" + name;
  Check(mkdir(witness.c_str(), 0755) == 0, "somebody else has made it too", path);
  if (dice_.OneIn(2)) Sleep(std::chrono::milliseconds(dice_.Below(20)));
  Check(rmdir(witness.c_str()) == 0, "the witness is gone", path);
  Must(rmdir(path.c_str()), "rmdir", path);
}

// Names that everybody makes, moves and removes: who comes too late is told so, and nothing else.
void SharedWorker::ChurnName() {
  auto any = [&] { return directory_ + "/churn-" + std::to_string(dice_.Below(kNames)); };
  std::string path = any();
  switch (dice_.Below(4)) {
    case 0: {
      int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      if (May(file, {EEXIST}, "create", path) == 0) Close(file, path);
      return;
    }
    case 1:
      May(unlink(path.c_str()), {ENOENT}, "unlink", path);
      return;
    case 2: {
      std::string to = any();
      May(rename(path.c_str(), to.c_str()), {ENOENT}, "rename", path + " to " + to);
      return;
    }
    default: {
      struct stat status {};
      May(stat(path.c_str(), &status), {ENOENT}, "stat", path);
    }
  }
}

void SharedWorker::Verify() {
  for (uint64_t number = 0; number < kPublished; ++number) {
    if (versions_[number] == 0) continue;
    std::string path = Published(options_.client, number);
    int file = Open(path, O_RDONLY);
    uint64_t version = Version(options_.client, number, ReadCold(file, path));
    Close(file, path);
    Check(version == versions_[number],
          "version " + std::to_string(version) + " instead of " + std::to_string(versions_[number]),
          path);
  }
}

void SharedWorker::Finish() {
  std::ofstream told(options_.host + "/published-" + std::to_string(options_.client));
  for (uint64_t version : versions_) told << version << "\n";
}

void SharedWorker::VerifyAtEnd() {
  for (int client = 1; client <= options_.clients; ++client) {
    std::ifstream told(options_.host + "/published-" + std::to_string(client));
    for (uint64_t number = 0; number < kPublished; ++number) {
      uint64_t wanted = 0;
      told >> wanted;
      if (wanted == 0) continue;
      std::string path = Published(client, number);
      int file = Open(path, O_RDONLY);
      uint64_t version = Version(client, number, ReadCold(file, path));
      Close(file, path);
      Check(version == wanted, "not the last version", path);
    }
  }
}

}  // namespace tarn::load
