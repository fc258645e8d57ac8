#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/kernel/load/content.h"
#include "tests/kernel/load/workers.h"

namespace tarn::load {
namespace {

constexpr size_t kFilesMax = 40;
constexpr size_t kHeldMax = 6;
constexpr uint64_t kFileBytesMax = 512 * 1024;
constexpr size_t kWriteBytesMax = 48 * 1024;
constexpr size_t kDirectBytes = 4096;

std::string At(uint64_t at, uint64_t count) {
  return " at " + std::to_string(at) + "+" + std::to_string(count);
}

}  // namespace

const std::vector<DataWorker::Action> DataWorker::kActions = {
    {12, &DataWorker::Create, false, false},
    {10, &DataWorker::Append, true, false},
    {12, &DataWorker::Overwrite, true, false},
    {6, &DataWorker::SynchronousWrite, true, false},
    {3, &DataWorker::DirectWrite, true, false},
    {6, &DataWorker::MappedWrite, true, false},
    {5, &DataWorker::Truncate, true, false},
    {6, &DataWorker::Rename, true, false},
    {4, &DataWorker::Link, true, false},
    {5, &DataWorker::Unlink, true, false},
    {4, &DataWorker::UnlinkWhileOpen, true, false},
    {3, &DataWorker::ChangeMode, true, false},
    {12, &DataWorker::VerifyOne, true, false},
    {3, &DataWorker::Hold, true, false},
    {10, &DataWorker::UseHeld, false, false},
    {3, &DataWorker::Reserve, true, true},
    {4, &DataWorker::Punch, true, true},
    {4, &DataWorker::Copy, true, true},
    {2, &DataWorker::Clone, true, true},
    {4, &DataWorker::ChangeAttribute, true, true},
};

DataWorker::DataWorker(const Options& options, const std::string& name, uint64_t seed)
    : Worker(options, name, seed),
      directory_(In("c" + std::to_string(options.client) + "-" + name)),
      content_(seed << 20) {}

void DataWorker::Prepare() {
  MakeDirectory(directory_);
}

void DataWorker::Step() {
  int sum = 0;
  for (const Action& action : kActions) sum += action.weight;
  while (true) {
    auto drawn = static_cast<int>(dice_.Below(sum));
    const Action* action = kActions.data();
    while (drawn >= action->weight) drawn -= (action++)->weight;
    if (action->needs_file && files_.empty()) continue;
    if (action->needs_42 && !is("4.2")) continue;
    (this->*action->run)();
    return;
  }
}

std::string DataWorker::NewBytes(size_t count) {
  return Bytes(++content_, 0, count);
}

DataWorker::Entry& DataWorker::Any() {
  return *std::next(files_.begin(), static_cast<ptrdiff_t>(dice_.Below(files_.size())));
}

void DataWorker::Forget(const std::string& name) {
  auto at = files_.find(name);
  --at->second->links;
  files_.erase(at);
}

void DataWorker::WroteAndSynced(int descriptor, size_t count, const std::string& path) {
  Sync(descriptor, path);
  figures_->synced_bytes.fetch_add(count, std::memory_order_relaxed);
}

void DataWorker::Create() {
  if (files_.size() >= kFilesMax) return Unlink();
  std::string name = NewName();
  std::string path = Path(name);
  // Over 4.0 an exclusive create that the server's death cuts off is sent again with another
  // verifier, and then fails; docs/nfs.md.
  int file = Open(path, O_RDWR | O_CREAT | (is("4.0") ? 0 : O_EXCL));
  auto made = std::make_shared<OwnedFile>();
  for (uint64_t writes = dice_.Below(4); writes > 0; --writes) {
    std::string bytes = NewBytes(dice_.Between(1, kWriteBytesMax));
    uint64_t at = made->bytes.size();
    Note("create " + name + At(at, bytes.size()));
    Write(file, bytes, at, path);
    made->Put(bytes, at);
  }
  WroteAndSynced(file, made->bytes.size(), path);
  Close(file, path);
  files_[name] = made;
}

void DataWorker::Append() {
  auto& [name, file] = Any();
  if (file->bytes.size() > kFileBytesMax) return;
  int descriptor = Open(Path(name), O_WRONLY | O_APPEND);
  std::string bytes = NewBytes(dice_.Between(1, 9000));
  Note("append " + name + At(file->bytes.size(), bytes.size()));
  int64_t done = Must(write(descriptor, bytes.data(), bytes.size()), "append", Path(name));
  Check(done == static_cast<int64_t>(bytes.size()), "a short write", Path(name));
  file->Put(bytes, file->bytes.size());
  if (!dice_.OneIn(3)) WroteAndSynced(descriptor, bytes.size(), Path(name));
  Close(descriptor, Path(name));
}

void DataWorker::Overwrite() {
  auto& [name, file] = Any();
  int descriptor = Open(Path(name), O_RDWR);
  size_t sum = 0;
  for (uint64_t writes = dice_.Between(1, 5); writes > 0; --writes) {
    uint64_t at = dice_.Below(std::min(file->bytes.size() + 5000, kFileBytesMax));
    std::string bytes = NewBytes(dice_.Between(1, dice_.OneIn(3) ? kWriteBytesMax : 600));
    Note("write " + name + At(at, bytes.size()));
    Write(descriptor, bytes, at, Path(name));
    file->Put(bytes, at);
    sum += bytes.size();
  }
  if (!dice_.OneIn(4)) WroteAndSynced(descriptor, sum, Path(name));
  Close(descriptor, Path(name));
}

void DataWorker::SynchronousWrite() {
  auto& [name, file] = Any();
  int descriptor = Open(Path(name), O_RDWR | (dice_.OneIn(2) ? O_SYNC : O_DSYNC));
  uint64_t at = dice_.Below(file->bytes.size() + 1);
  std::string bytes = NewBytes(dice_.Between(1, 20000));
  Note("write synchronously " + name + At(at, bytes.size()));
  Write(descriptor, bytes, at, Path(name));
  file->Put(bytes, at);
  figures_->synced_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
  Close(descriptor, Path(name));
}

void DataWorker::DirectWrite() {
  auto& [name, file] = Any();
  int descriptor = Open(Path(name), O_RDWR | O_DIRECT);
  std::string bytes = NewBytes(kDirectBytes);
  void* buffer = std::aligned_alloc(kDirectBytes, kDirectBytes);
  std::memcpy(buffer, bytes.data(), kDirectBytes);
  uint64_t at = dice_.Below(file->bytes.size() / kDirectBytes + 1) * kDirectBytes;
  Note("write directly " + name + At(at, kDirectBytes));
  int64_t done = Must(pwrite(descriptor, buffer, kDirectBytes, static_cast<off_t>(at)),
                      "direct write", Path(name));
  std::free(buffer);
  Check(done == kDirectBytes, "a short write", Path(name));
  file->Put(bytes, at);
  WroteAndSynced(descriptor, kDirectBytes, Path(name));
  Close(descriptor, Path(name));
}

void DataWorker::MappedWrite() {
  auto& [name, file] = Any();
  if (file->bytes.empty()) return;
  int descriptor = Open(Path(name), O_RDWR);
  const size_t size = file->bytes.size();
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  Must(mapped == MAP_FAILED ? -1 : 0, "mmap", Path(name));
  std::string_view whole(static_cast<char*>(mapped), size);
  std::string difference = Difference(file->bytes, whole);
  Check(difference.empty(), "mapped: " + difference, Path(name));
  for (uint64_t writes = dice_.Between(1, 4); writes > 0; --writes) {
    uint64_t at = dice_.Below(size);
    std::string bytes = NewBytes(std::min<uint64_t>(dice_.Between(1, 3000), size - at));
    Note("write mapped " + name + At(at, bytes.size()));
    std::memcpy(static_cast<char*>(mapped) + at, bytes.data(), bytes.size());
    file->Put(bytes, at);
    figures_->synced_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
  }
  Must(msync(mapped, size, MS_SYNC), "msync", Path(name));
  Must(munmap(mapped, size), "munmap", Path(name));
  Close(descriptor, Path(name));
}

void DataWorker::Truncate() {
  auto& [name, file] = Any();
  uint64_t size = dice_.OneIn(2) ? dice_.Below(file->bytes.size() + 1)
                                 : dice_.Below(std::min(file->bytes.size() + 70000, kFileBytesMax));
  Note("truncate " + name + At(size, 0) + " from " + std::to_string(file->bytes.size()));
  Must(truncate(Path(name).c_str(), static_cast<off_t>(size)), "truncate", Path(name));
  file->Resize(size);
}

void DataWorker::Rename() {
  auto& from = Any();
  std::string old_name = from.first;
  std::string new_name = dice_.OneIn(3) ? Any().first : NewName();
  if (old_name == new_name) return;
  auto over = files_.find(new_name);
  if (over != files_.end() && over->second == from.second) return;  // two names of one file
  Note("rename " + old_name + " to " + new_name);
  Must(rename(Path(old_name).c_str(), Path(new_name).c_str()), "rename",
       Path(old_name) + " to " + new_name);
  File file = from.second;
  if (over != files_.end()) Forget(new_name);
  files_.erase(old_name);
  files_[new_name] = file;
}

void DataWorker::Link() {
  auto& [name, file] = Any();
  if (files_.size() >= kFilesMax) return;
  std::string other = NewName();
  Note("link " + name + " to " + other);
  Must(link(Path(name).c_str(), Path(other).c_str()), "link", Path(name) + " to " + other);
  ++file->links;
  files_[other] = file;
}

void DataWorker::Unlink() {
  std::string name = Any().first;
  Note("unlink " + name);
  Must(unlink(Path(name).c_str()), "unlink", Path(name));
  Forget(name);
}

void DataWorker::UnlinkWhileOpen() {
  auto& entry = Any();
  std::string path = Path(entry.first);
  Held held{Open(path, O_RDWR), entry.second, path + " (removed)"};
  Note("unlink while open " + entry.first);
  Must(unlink(path.c_str()), "unlink", path);
  Forget(entry.first);
  std::string bytes = NewBytes(dice_.Between(1, 5000));
  uint64_t at = dice_.Below(held.file->bytes.size() + 1);
  Write(held.descriptor, bytes, at, path);
  held.file->Put(bytes, at);
  VerifyHeld(held);
  if (held_.size() < kHeldMax) {
    held_.push_back(held);
  } else {
    Close(held.descriptor, path);
  }
}

void DataWorker::ChangeMode() {
  auto& [name, file] = Any();
  file->mode = 0600 | static_cast<mode_t>(dice_.Below(0100));
  Must(chmod(Path(name).c_str(), file->mode), "chmod", Path(name));
}

void DataWorker::Hold() {
  if (held_.size() >= kHeldMax) {
    size_t which = dice_.Below(held_.size());
    VerifyHeld(held_[which]);
    Close(held_[which].descriptor, held_[which].path);
    held_.erase(held_.begin() + static_cast<ptrdiff_t>(which));
  }
  auto& [name, file] = Any();
  Note("hold " + name);
  held_.push_back({Open(Path(name), O_RDWR), file, Path(name) + " (held)"});
}

void DataWorker::UseHeld() {
  if (held_.empty()) return;
  Held& held = held_[dice_.Below(held_.size())];
  if (dice_.OneIn(2)) return VerifyHeld(held);
  uint64_t at = dice_.Below(std::min(held.file->bytes.size() + 1, kFileBytesMax));
  std::string bytes = NewBytes(dice_.Between(1, 9000));
  Note("write " + held.path + At(at, bytes.size()));
  Write(held.descriptor, bytes, at, held.path);
  held.file->Put(bytes, at);
  if (dice_.OneIn(2)) WroteAndSynced(held.descriptor, bytes.size(), held.path);
}

void DataWorker::Reserve() {
  auto& [name, file] = Any();
  int descriptor = Open(Path(name), O_RDWR);
  uint64_t at = dice_.Below(file->bytes.size() + 1);
  uint64_t count = dice_.Between(1, 60000);
  Note("fallocate " + name + At(at, count));
  Must(fallocate(descriptor, 0, static_cast<off_t>(at), static_cast<off_t>(count)), "fallocate",
       Path(name));
  file->Resize(std::max<uint64_t>(file->bytes.size(), at + count));
  Close(descriptor, Path(name));
}

void DataWorker::Punch() {
  auto& [name, file] = Any();
  int descriptor = Open(Path(name), O_RDWR);
  uint64_t at = dice_.Below(file->bytes.size() + 1);
  uint64_t count = dice_.Between(1, 100000);
  Note("punch " + name + At(at, count));
  Must(fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at),
                 static_cast<off_t>(count)),
       "punch", Path(name));
  file->Clear(at, count);
  Close(descriptor, Path(name));
}

void DataWorker::Copy() {
  auto& [name, file] = Any();
  auto& [other, into] = Any();
  if (file == into || file->bytes.empty()) return;
  int from = Open(Path(name), O_RDONLY);
  int to = Open(Path(other), O_RDWR);
  auto at = static_cast<off64_t>(dice_.Below(file->bytes.size()));
  auto place = static_cast<off64_t>(dice_.Below(into->bytes.size() + 1));
  std::string bytes = file->bytes.substr(at, dice_.Between(1, 200000));
  if (place + bytes.size() > kFileBytesMax) place = 0;
  Note("copy " + name + At(at, bytes.size()) + " to " + other + At(place, 0));
  for (size_t left = bytes.size(); left > 0;) {
    off64_t source = at + static_cast<off64_t>(bytes.size() - left);
    off64_t target = place + static_cast<off64_t>(bytes.size() - left);
    int64_t done = Must(copy_file_range(from, &source, to, &target, left, 0), "copy_file_range",
                        Path(name) + " to " + other);
    Check(done > 0, "copy_file_range ended early", Path(name));
    left -= done;
  }
  into->Put(bytes, place);
  WroteAndSynced(to, bytes.size(), Path(other));
  Close(from, Path(name));
  Close(to, Path(other));
}

void DataWorker::Clone() {
  if (files_.size() >= kFilesMax) return;
  auto& [name, file] = Any();
  std::string copy = NewName();
  int from = Open(Path(name), O_RDONLY);
  int to = Open(Path(copy), O_RDWR | O_CREAT | O_EXCL);
  Note("clone " + name + " to " + copy);
  Must(ioctl(to, FICLONE, from), "clone", Path(name) + " to " + copy);
  auto made = std::make_shared<OwnedFile>();
  made->bytes = file->bytes;
  WroteAndSynced(to, made->bytes.size(), Path(copy));
  Close(from, Path(name));
  Close(to, Path(copy));
  files_[copy] = made;
}

void DataWorker::ChangeAttribute() {
  auto& [name, file] = Any();
  std::string key = "user.k" + std::to_string(dice_.Below(4));
  if (file->attributes.contains(key) && dice_.OneIn(2)) {
    Must(removexattr(Path(name).c_str(), key.c_str()), "removexattr", Path(name));
    file->attributes.erase(key);
  } else {
    std::string value = NewBytes(dice_.Below(dice_.OneIn(5) ? 8000 : 100));
    Must(setxattr(Path(name).c_str(), key.c_str(), value.data(), value.size(), 0), "setxattr",
         Path(name));
    file->attributes[key] = value;
  }
  VerifyAttributes(Path(name), *file);
}

void DataWorker::VerifyOne() {
  auto& [name, file] = Any();
  VerifyFile(Path(name), *file);
}

void DataWorker::VerifyFile(const std::string& path, const OwnedFile& file) {
  Note("verify " + path);
  int descriptor = Open(path, O_RDONLY);
  std::string difference = Difference(file.bytes, ReadCold(descriptor, path));
  Check(difference.empty(), difference, path);
  struct stat status {};
  Must(fstat(descriptor, &status), "fstat", path);
  // What lost a name while it was open has another one, of the client's making, until it is closed.
  Check(static_cast<int>(status.st_nlink) >= file.links &&
            (!exact_links_ || static_cast<int>(status.st_nlink) == file.links),
        std::to_string(status.st_nlink) + " links instead of " + std::to_string(file.links), path);
  Check((status.st_mode & 07777) == file.mode, "another mode", path);
  Close(descriptor, path);
  if (is("4.2")) VerifyAttributes(path, file);
}

void DataWorker::VerifyAttributes(const std::string& path, const OwnedFile& file) {
  std::vector<char> names(4096);
  int64_t length = Must(listxattr(path.c_str(), names.data(), names.size()), "listxattr", path);
  size_t count = 0;
  for (const char* name = names.data(); name < names.data() + length;
       name += std::strlen(name) + 1) {
    if (std::string_view(name).starts_with("user.")) ++count;
  }
  Check(count == file.attributes.size(), "other attributes than were set", path);
  for (const auto& [name, wanted] : file.attributes) {
    std::string value(9000, '\0');
    value.resize(
        Must(getxattr(path.c_str(), name.c_str(), value.data(), value.size()), "getxattr", path));
    Check(value == wanted, "another value of " + name, path);
  }
}

void DataWorker::VerifyHeld(const Held& held) {
  std::string difference = Difference(held.file->bytes, ReadCold(held.descriptor, held.path));
  Check(difference.empty(), difference, held.path);
}

void DataWorker::Verify() {
  for (const auto& [name, file] : files_) VerifyFile(Path(name), *file);
  for (const Held& held : held_) VerifyHeld(held);
}

void DataWorker::Finish() {
  for (const Held& held : held_) {
    VerifyHeld(held);
    Close(held.descriptor, held.path);
  }
  held_.clear();
}

void DataWorker::VerifyAtEnd() {
  exact_links_ = true;
  Verify();
  std::vector<std::string> names = List(directory_);
  for (const std::string& name : names) {
    Check(files_.contains(name), "is there, though it was removed or never made", Path(name));
  }
  Check(names.size() == files_.size(), "names are missing", directory_);
}

}  // namespace tarn::load
