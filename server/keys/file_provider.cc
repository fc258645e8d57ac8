#include "server/keys/file_provider.h"

#include <dirent.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "common/crypto/sealer.h"
#include "common/text.h"
#include "server/keys/base64.h"

namespace tarn::keys {
namespace {

constexpr size_t kKeyBytes = Sealer::kKeyBytes;
constexpr size_t kFileBytesMax = 256;
constexpr size_t kFingerprintBytes = 8;
constexpr char kFingerprintMark = '#';
constexpr int kReadTries = 3;  // a mounted Secret may be exchanged between two steps
constexpr std::string_view kAssociated = "tarn data key";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// One version of the key.
struct Version {
  std::string file;
  std::string fingerprint = {};
  SecretBytes key = {};
  bool exposed = false;               // others than the owner may read the file
  std::optional<Error> trouble = {};  // why nothing of the above is known

  std::string Name() const { return file + kFingerprintMark + fingerprint; }
};

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// What went wrong with a file or the directory. Gone and forbidden are told apart from trouble.
Error OfErrno(const std::string& path, int number) {
  const std::string reason = path + ": " + std::strerror(number);
  if (number == ENOENT || number == ENOTDIR) return Error(Code::kNotFound, reason);
  if (number == EACCES || number == EPERM) return Error(Code::kDenied, reason);
  return Error(Code::kUnavailable, reason);
}

class FileProvider : public KeyProvider {
 public:
  explicit FileProvider(std::string directory) : directory_(std::move(directory)) {}

  Result<Wrapped> Wrap(const SecretBytes& secret, const Call& /*call*/) override {
    TRY(Version newest, Newest());
    if (newest.exposed) {
      return Error(Code::kDenied, directory_ + "/" + newest.file +
                                      " may be read by others than its owner: chmod 0600 it");
    }
    TRY(auto sealer, Sealer::Create(newest.key));
    TRY(std::string sealed, sealer->Seal(secret.view(), kAssociated));
    return Wrapped{.version = newest.Name(), .ciphertext = std::move(sealed), .annotations = {}};
  }

  Result<SecretBytes> Unwrap(const Wrapped& wrapped, const Call& /*call*/) override {
    const size_t mark = wrapped.version.rfind(kFingerprintMark);
    if (mark == std::string::npos) {
      return Error(Code::kCorrupt, "a key in " + directory_ + " did not wrap this");
    }
    const std::string fingerprint = wrapped.version.substr(mark + 1);
    TRY(std::vector<Version> versions, Read());
    const Error* trouble = nullptr;
    for (const Version& version : versions) {
      if (version.trouble) trouble = &*version.trouble;
      if (version.trouble || version.fingerprint != fingerprint) continue;
      if (version.exposed) WarnOnce(version.file);
      TRY(auto sealer, Sealer::Create(version.key));
      auto opened = sealer->Open(wrapped.ciphertext, kAssociated);
      if (!opened.ok()) return Error(opened.code(), Place() + ": " + opened.error().message());
      SecretBytes secret(*opened);
      WipeBytes(opened->data(), opened->size());
      return secret;
    }
    if (trouble != nullptr) return TroubleOf(versions, *trouble);  // it may be that one
    return Error(Code::kNotFound, "the key of version '" + wrapped.version + "' is no longer in " +
                                      directory_ + ": put its file back");
  }

  Result<std::string> Check(const Call& /*call*/) override {
    TRY(Version newest, Newest());
    return newest.Name();
  }

  std::string Place() const override { return "file://" + directory_; }

 private:
  // One that cannot be read is a loss only when that is so of all: a right that was taken away.
  static Error TroubleOf(const std::vector<Version>& versions, const Error& trouble) {
    const bool all = std::all_of(versions.begin(), versions.end(), [](const Version& version) {
      return version.trouble && IsDefinite(version.trouble->code());
    });
    return all ? trouble : Error(Code::kUnavailable, trouble.message());
  }

  Result<Version> Newest() {
    TRY(std::vector<Version> versions, Read());
    Version& newest = versions.back();
    if (newest.trouble) return TroubleOf(versions, *newest.trouble);
    return std::move(newest);
  }

  // All versions, oldest first; never none.
  Result<std::vector<Version>> Read() {
    for (int i = 1;; ++i) {
      bool changed = false;
      auto versions = ReadOnce(changed);
      const bool again = changed || versions.code() == Code::kNotFound;
      if (again && i < kReadTries) continue;
      if (changed) return Error(Code::kUnavailable, directory_ + " changes while it is read");
      return versions;
    }
  }

  // `changed`: what was read is not of one moment. A version that is missing in it is not lost.
  Result<std::vector<Version>> ReadOnce(bool& changed) {
    std::string path = directory_ + "/..data";
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool secret_mount = fd >= 0;
    if (!secret_mount) {
      path = directory_;
      fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) return OfErrno(directory_, errno);
    std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(fd), closedir);
    if (!listing) {
      close(fd);
      return Error(Code::kUnavailable, directory_ + " cannot be listed");
    }
    struct stat before {};
    struct stat after {};
    if (fstat(fd, &before) != 0) return OfErrno(directory_, errno);
    auto versions = ReadAll(*listing, secret_mount);
    // Files of a mounted Secret go one by one, but only after ..data leads to others.
    changed = stat(path.c_str(), &after) != 0 || after.st_dev != before.st_dev ||
              after.st_ino != before.st_ino || after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
              after.st_mtim.tv_nsec != before.st_mtim.tv_nsec;
    return versions;
  }

  Result<std::vector<Version>> ReadAll(DIR& listing, bool secret_mount) const {
    std::vector<Version> versions;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(&listing);
      if (entry == nullptr && errno != 0) {
        return Error(Code::kUnavailable, directory_ + ": " + std::strerror(errno));
      }
      if (entry == nullptr) break;
      Version version{.file = entry->d_name};
      if (version.file.starts_with('.') || entry->d_type == DT_DIR) continue;
      if (versions.size() == kKeyFilesMax) {
        return Error(Code::kUnavailable, directory_ + " has more than " +
                                             std::to_string(kKeyFilesMax) +
                                             " files: remove the oldest versions of the key");
      }
      auto is_file = ReadFile(dirfd(&listing), version);
      if (is_file.ok() && !*is_file) continue;
      if (is_file.code() == Code::kNotFound) continue;  // gone meanwhile, or a link to nothing
      if (!is_file.ok()) version.trouble = is_file.error();
      version.exposed = version.exposed && !secret_mount;
      versions.push_back(std::move(version));
    }
    if (versions.empty()) return Error(Code::kNotFound, directory_ + " has no key in it");
    std::sort(versions.begin(), versions.end(),
              [](const Version& a, const Version& b) { return OlderVersion(a.file, b.file); });
    return versions;
  }

  // False: it is no regular file.
  Result<bool> ReadFile(int directory, Version& version) const {
    const std::string path = directory_ + "/" + version.file;
    Descriptor file(openat(directory, version.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0) return OfErrno(path, errno);
    struct stat status {};
    if (fstat(file.get(), &status) != 0) return OfErrno(path, errno);
    if (!S_ISREG(status.st_mode)) return false;
    version.exposed = (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
    SecretBytes room(kFileBytesMax + 1);
    const ssize_t got = pread(file.get(), room.bytes().data(), room.size(), 0);
    if (got < 0) return OfErrno(path, errno);
    const std::string_view content = room.view().substr(0, static_cast<size_t>(got));
    if (content.size() == kKeyBytes) {
      version.key = SecretBytes(content);
    } else if (auto decoded = DecodeBase64(Trimmed(content));
               decoded && decoded->size() == kKeyBytes) {
      version.key = std::move(*decoded);
    } else {
      return Error(Code::kUnavailable,
                   path + " is no key: it must hold 32 random bytes, raw or as base64 text");
    }
    TRY(SecretBytes fingerprint,
        DeriveKey(version.key, {}, "tarn key fingerprint", kFingerprintBytes));
    version.fingerprint = Hex(fingerprint.view());
    return true;
  }

  void WarnOnce(const std::string& file) {
    std::lock_guard lock(mutex_);
    if (warned_.size() >= kKeyFilesMax || !warned_.insert(file).second) return;
    spdlog::warn("the key file {}/{} may be read by others than its owner: chmod 0600 it",
                 directory_, file);
  }

  const std::string directory_;
  std::mutex mutex_;
  std::set<std::string> warned_;
};

// The run of digits, or of none, that `text` begins with.
std::string_view FirstRun(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t end = 1;
  while (end < text.size() && digit(text[end]) == digit(text[0])) ++end;
  return text.substr(0, end);
}

std::string_view WithoutZeros(std::string_view digits) {
  const size_t begin = digits.find_first_not_of('0');
  return begin == std::string_view::npos ? std::string_view() : digits.substr(begin);
}

}  // namespace

bool OlderVersion(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (!a.empty() && !b.empty()) {
    std::string_view run_a = FirstRun(a);
    std::string_view run_b = FirstRun(b);
    a.remove_prefix(run_a.size());
    b.remove_prefix(run_b.size());
    if (isdigit(static_cast<unsigned char>(run_a[0])) &&
        isdigit(static_cast<unsigned char>(run_b[0]))) {
      run_a = WithoutZeros(run_a);
      run_b = WithoutZeros(run_b);
      if (run_a.size() != run_b.size()) return run_a.size() < run_b.size();
    }
    if (run_a != run_b) return run_a < run_b;
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;  // v1 and v01: some order
}

Result<std::unique_ptr<KeyProvider>> OpenFileProvider(const std::string& directory) {
  if (!directory.starts_with('/')) {
    return Error(Code::kInvalid,
                 "'file://" + directory + "': write file:///DIR, an absolute path of a directory");
  }
  return std::unique_ptr<KeyProvider>(std::make_unique<FileProvider>(directory));
}

}  // namespace tarn::keys
