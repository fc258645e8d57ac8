#include "server/identity/user_groups.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace tarn::identity {
namespace {

using nlohmann::json;

Result<uint32_t> Id(const json& value, const std::string& where) {
  if (value.is_number_unsigned() && value.get<uint64_t>() < UINT32_MAX) {
    return value.get<uint32_t>();
  }
  return Error(Code::kInvalid, where + " must be a number from 0 to 4294967294");
}

Result<uint32_t> IdField(const json& entry, const std::string& where, const char* name) {
  auto found = entry.find(name);
  if (found == entry.end()) return Error(Code::kInvalid, where + "." + name + " is missing");
  return Id(*found, where + "." + name);
}

Result<std::vector<uint32_t>> Groups(const json& entry, const std::string& where) {
  std::vector<uint32_t> gids;
  auto found = entry.find("gids");
  if (found == entry.end()) return gids;
  if (!found->is_array() || found->size() >= kUserGroupsMax) {
    return Error(Code::kInvalid, where + ".gids must be a list of at most " +
                                     std::to_string(kUserGroupsMax - 1) + " numbers");
  }
  for (const json& gid : *found) {
    TRY(uint32_t number, Id(gid, where + ".gids[" + std::to_string(gids.size()) + "]"));
    gids.push_back(number);
  }
  std::sort(gids.begin(), gids.end());
  return gids;
}

// So that a name with a mistake in it is not taken for one that is not there.
Result<void> CheckNames(const json& object, const std::string& where,
                        std::initializer_list<std::string_view> names) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return Error(Code::kInvalid, where + "." + name + " is unknown: remove it");
    }
  }
  return Ok();
}

Result<bool> BelieveUnlisted(const json& file) {
  auto found = file.find("unlisted");
  if (found == file.end() || *found == "call") return true;
  if (*found == "none") return false;
  return Error(Code::kInvalid, "unlisted must be \"call\" or \"none\"");
}

}  // namespace

Result<std::shared_ptr<const UserGroups>> UserGroups::Parse(std::string_view text) {
  json file = json::parse(text, nullptr, false);
  bool good = file.is_object() && file.contains("users") && file["users"].is_array() &&
              file["users"].size() <= kUsersMax;
  if (!good) {
    return Error(Code::kInvalid,
                 "it must be JSON with a list 'users' of at most " + std::to_string(kUsersMax));
  }
  TRY(CheckNames(file, "the file", {"unlisted", "users"}));
  auto groups = std::make_shared<UserGroups>();
  TRY(groups->believe_unlisted_, BelieveUnlisted(file));
  size_t at = 0;
  for (const json& entry : file["users"]) {
    const std::string where = "users[" + std::to_string(at++) + "]";
    if (!entry.is_object()) return Error(Code::kInvalid, where + " must be an object");
    TRY(CheckNames(entry, where, {"uid", "gid", "gids"}));
    TRY(uint32_t uid, IdField(entry, where, "uid"));
    User user;
    TRY(user.gid, IdField(entry, where, "gid"));
    TRY(user.gids, Groups(entry, where));
    if (!groups->users_.emplace(uid, std::move(user)).second) {
      return Error(Code::kInvalid, where + ".uid is there twice: " + std::to_string(uid));
    }
  }
  return std::shared_ptr<const UserGroups>(std::move(groups));
}

void UserGroups::Apply(uint32_t uid, uint32_t& gid, std::vector<uint32_t>& gids) const {
  auto user = users_.find(uid);
  if (user == users_.end()) {
    if (believe_unlisted_) return;
    gid = kNoGroup;
    gids.clear();
    return;
  }
  const User& known = user->second;
  gids = known.gids;
  if (gid == known.gid) return;
  // The first one goes among the others when another takes its place.
  if (std::binary_search(known.gids.begin(), known.gids.end(), gid)) {
    gids.push_back(known.gid);
  } else {
    gid = known.gid;
  }
}

}  // namespace tarn::identity
