#include "csi/node/volume_records.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/files.h"
#include "common/log.h"
#include "common/text.h"

namespace tarn::csi {
namespace {

constexpr size_t kNameDigits = 32;

std::optional<VolumeRecord> Parse(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("version", 0) != 1) return std::nullopt;
  VolumeRecord record;
  record.stage.volume_id = json.value("volumeId", "");
  record.stage.staging_path = json.value("stagingPath", "");
  record.stage.context = json.value("context", std::map<std::string, std::string>{});
  record.stage.mount_flags = json.value("mountFlags", std::vector<std::string>{});
  record.target_path = json.value("targetPath", record.stage.staging_path);
  record.read_only = json.value("readOnly", false);
  if (record.stage.volume_id.empty() || record.target_path.empty()) return std::nullopt;
  return record;
}

// Without what kubelet tells of the pod: its tokens are among it.
std::map<std::string, std::string> OfVolume(std::map<std::string, std::string> context) {
  std::erase_if(context, [](const auto& one) { return one.first.starts_with("csi.storage.k8s"); });
  return context;
}

}  // namespace

std::string VolumeRecords::PathOf(const std::string& key) const {
  return directory_ + "/" + Sha256Hex(key).substr(0, kNameDigits) + ".json";
}

Result<void> VolumeRecords::Write(const std::string& key, const VolumeRecord& record) const {
  nlohmann::json json = {{"version", 1},
                         {"volumeId", record.stage.volume_id},
                         {"stagingPath", record.stage.staging_path},
                         {"context", OfVolume(record.stage.context)},
                         {"mountFlags", record.stage.mount_flags},
                         {"targetPath", record.target_path},
                         {"readOnly", record.read_only}};
  std::error_code failed;
  std::filesystem::create_directories(directory_, failed);
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return ReplaceFile(PathOf(key), text, 0600);
}

void VolumeRecords::Remove(const std::string& key) const {
  (void)::remove(PathOf(key).c_str());
}

bool VolumeRecords::Has(const std::string& key) const {
  std::error_code failed;
  return std::filesystem::exists(PathOf(key), failed);
}

std::vector<VolumeRecord> VolumeRecords::ReadAll() const {
  std::vector<VolumeRecord> records;
  std::error_code failed;
  std::filesystem::directory_iterator at(directory_, failed), end;
  for (; !failed && at != end && records.size() < kRecordsMax; at.increment(failed)) {
    if (at->path().extension() != ".json") continue;
    auto text = ReadSmallFile(at->path());
    if (!text.ok()) continue;
    try {
      if (auto record = Parse(*text)) records.push_back(std::move(record).value());
    } catch (const nlohmann::json::exception& exception) {
      spdlog::warn("{}: {}", at->path().string(), exception.what());
    }
  }
  return records;
}

}  // namespace tarn::csi
