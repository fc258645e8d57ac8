#include "csi/registry.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/ids.h"
#include "common/log.h"

namespace tarn::csi {
namespace {

constexpr size_t kEntryBytesMax = 64 * 1024;

std::string Text(const nlohmann::json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<RegistryEntry> ParseRegistryEntry(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Error(Code::kInvalid, "a registry entry must be a JSON object");
  RegistryEntry entry;
  entry.file_system_id = Text(json, "fileSystemId");
  entry.ns = Text(json, "namespace");
  entry.name = Text(json, "name");
  entry.control = Text(json, "control");
  entry.nfs = Text(json, "nfs");
  if (!IsId(kFileSystemPrefix, entry.file_system_id)) {
    return Error(Code::kInvalid, "a registry entry has no fileSystemId of the form fs-…");
  }
  auto targets = json.find("mountTargets");
  if (targets != json.end() && targets->is_array()) {
    for (const auto& target : *targets) {
      if (!target.is_object()) continue;
      entry.mount_targets.push_back(
          {Text(target, "mountTargetId"), Text(target, "zone"), Text(target, "nfs")});
    }
  }
  return entry;
}

void Registry::Read() {
  auto files = source_();
  std::vector<RegistryEntry> entries;
  if (files.ok()) {
    for (const auto& [name, text] : *files) {
      auto entry = ParseRegistryEntry(text);
      if (!entry.ok()) {
        spdlog::warn("registry: {}: {}", name, entry.error().message());
      } else if (entries.size() < kEntriesMax) {
        entries.push_back(std::move(entry).value());
      }
    }
  }
  {
    std::lock_guard guard(mu_);
    if (files.ok()) {
      entries_ = std::move(entries);
      read_at_ = clock_.Monotonic();
      error_.reset();
    } else {
      error_ = files.error();
    }
    reading_ = false;
  }
  read_done_.notify_all();
}

void Registry::Refresh(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds wait) {
  bool may_read = !ever_tried_ || clock_.Monotonic() - tried_at_ >= kMissInterval;
  if (!reading_ && may_read) {
    reading_ = true;
    ever_tried_ = true;
    tried_at_ = clock_.Monotonic();
    reader_ = std::jthread([this] { Read(); });  // the one before has ended
  }
  read_done_.wait_for(lock, wait, [this] { return !reading_; });
}

Result<RegistryEntry> Registry::Find(const std::function<bool(const RegistryEntry&)>& matches,
                                     const std::string& what) {
  std::unique_lock lock(mu_);
  auto look = [&]() -> const RegistryEntry* {
    for (const auto& entry : entries_) {
      if (matches(entry)) return &entry;
    }
    return nullptr;
  };
  const RegistryEntry* found = look();
  if (found != nullptr && clock_.Monotonic() - read_at_ <= kFresh) return *found;
  Refresh(lock, found != nullptr ? kStaleWait : kMissWait);
  found = look();
  if (found != nullptr) {
    if (error_) spdlog::warn("registry: using what was last read: {}", error_->message());
    return *found;
  }
  if (error_ || reading_) {
    return Error(Code::kUnavailable, "the registry of file systems cannot be read: " +
                                         (error_ ? error_->message() : "no answer") +
                                         "; looked for " + what);
  }
  return Error(Code::kNotFound, what);
}

Result<RegistryEntry> Registry::ById(const std::string& file_system_id) {
  return Find([&](const auto& entry) { return entry.file_system_id == file_system_id; },
              "file system '" + file_system_id + "'");
}

Result<RegistryEntry> Registry::ByName(const std::string& ns, const std::string& name) {
  return Find([&](const auto& entry) { return entry.ns == ns && entry.name == name; },
              "FileSystem '" + ns + "/" + name + "'");
}

Registry::Source DirectorySource(std::string directory) {
  return [directory = std::move(directory)]() -> Result<std::map<std::string, std::string>> {
    std::map<std::string, std::string> files;
    std::error_code failed;
    std::filesystem::directory_iterator at(directory, failed), end;
    if (failed == std::errc::no_such_file_or_directory) return files;
    for (; !failed && at != end; at.increment(failed)) {
      if (at->path().extension() != ".json") continue;
      std::ifstream in(at->path(), std::ios::binary);
      std::string text(kEntryBytesMax, '\0');
      in.read(text.data(), static_cast<std::streamsize>(text.size()));
      text.resize(static_cast<size_t>(in.gcount()));
      files[at->path().filename()] = std::move(text);
    }
    if (failed) return Error(Code::kUnavailable, directory + ": " + failed.message());
    return files;
  };
}

}  // namespace tarn::csi
