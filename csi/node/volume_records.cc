// The files about staged volumes: STATE_DIR/<hash of the volume id>.json.
#include <openssl/sha.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/log.h"
#include "csi/node/volumes.h"

namespace tarn::csi {
namespace {

constexpr size_t kRecordsMax = 10'000;

std::optional<StageRequest> Parse(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("version", 0) != 1) return std::nullopt;
  StageRequest request;
  request.volume_id = json.value("volumeId", "");
  request.staging_path = json.value("stagingPath", "");
  request.context = json.value("context", std::map<std::string, std::string>{});
  request.mount_flags = json.value("mountFlags", std::vector<std::string>{});
  if (request.volume_id.empty() || request.staging_path.empty()) return std::nullopt;
  return request;
}

}  // namespace

std::string Volumes::RecordPath(const std::string& volume_id) const {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(volume_id.data()), volume_id.size(), digest);
  std::string name;
  for (int i = 0; i < 16; ++i) {
    char hex[3];
    snprintf(hex, sizeof hex, "%02x", digest[i]);
    name += hex;
  }
  return options_.state_dir + "/" + name + ".json";
}

// Without the record the volume works; it only would not be repaired, which the log then tells.
void Volumes::WriteRecord(const StageRequest& request) {
  nlohmann::json json = {{"version", 1},
                         {"volumeId", request.volume_id},
                         {"stagingPath", request.staging_path},
                         {"context", request.context},
                         {"mountFlags", request.mount_flags}};
  std::error_code failed;
  std::filesystem::create_directories(options_.state_dir, failed);
  std::string path = RecordPath(request.volume_id);
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  bool wrote = static_cast<bool>(std::ofstream(path + ".new") << text);
  if (wrote) std::filesystem::rename(path + ".new", path, failed);
  if (!wrote || failed) spdlog::warn("volume {}: cannot write {}", request.volume_id, path);
}

std::vector<StageRequest> Volumes::ReadRecords() const {
  std::vector<StageRequest> records;
  std::error_code failed;
  std::filesystem::directory_iterator at(options_.state_dir, failed), end;
  for (; !failed && at != end && records.size() < kRecordsMax; at.increment(failed)) {
    if (at->path().extension() != ".json") continue;
    std::ifstream in(at->path());
    std::ostringstream text;
    text << in.rdbuf();
    try {
      if (auto record = Parse(text.str())) records.push_back(std::move(record).value());
    } catch (const nlohmann::json::exception& exception) {
      spdlog::warn("{}: {}", at->path().string(), exception.what());
    }
  }
  return records;
}

}  // namespace tarn::csi
