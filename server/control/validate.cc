#include "server/control/validate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "common/ids.h"
#include "server/control/errors.h"
#include "server/control/limits.h"

namespace tarn::control {
namespace {

std::string Text(std::string_view text) {
  return std::string(text);
}

// UTF-8 characters, as the API counts them.
size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Letters, digits, spaces and _ . : / = + - @ of the API's tag pattern; any character beyond ASCII.
bool IsTagText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || (c & 0x80) != 0 ||
           std::string_view(" _.:/=+-@").find(c) != std::string_view::npos;
  });
}

bool BeginsWithAws(std::string_view key) {
  return key.size() >= 4 && (key[0] | 0x20) == 'a' && (key[1] | 0x20) == 'w' &&
         (key[2] | 0x20) == 's' && key[3] == ':';
}

struct Age {
  std::string_view name;
  int days;
};
constexpr std::array kAges{
    Age{"AFTER_1_DAY", 1},      Age{"AFTER_7_DAYS", 7},     Age{"AFTER_14_DAYS", 14},
    Age{"AFTER_30_DAYS", 30},   Age{"AFTER_60_DAYS", 60},   Age{"AFTER_90_DAYS", 90},
    Age{"AFTER_180_DAYS", 180}, Age{"AFTER_270_DAYS", 270}, Age{"AFTER_365_DAYS", 365}};

// Sets `days`, which must be 0: one transition of a kind.
Result<void> TakeAge(std::string_view field, std::string_view value, int& days) {
  if (value.empty()) return Ok();
  if (days != 0)
    return BadRequest("lifecycle_policies has " + Text(field) + " twice: give it once");
  for (const Age& age : kAges) {
    if (age.name == value) {
      days = age.days;
      return Ok();
    }
  }
  return BadRequest(Text(field) + " '" + Text(value) +
                    "': use AFTER_1_DAY or AFTER_7, _14, _30, _60, _90, _180, _270 or _365_DAYS");
}

}  // namespace

Result<void> CheckId(std::string_view field, std::string_view prefix, std::string_view id) {
  if (IsId(prefix, id)) return Ok();
  return BadRequest(Text(field) + " '" + Text(id) + "': it must be " + Text(prefix) +
                    " and 8 to 40 lower-case hex digits");
}

Result<void> CheckToken(std::string_view field, std::string_view token) {
  size_t characters = Characters(token);
  if (characters >= 1 && characters <= kTokenCharactersMax) return Ok();
  return BadRequest(Text(field) + " has " + std::to_string(characters) +
                    " characters: it must have 1 to " + std::to_string(kTokenCharactersMax));
}

Result<void> CheckTagKey(std::string_view key) {
  if (key.empty() || Characters(key) > kTagKeyCharactersMax) {
    return BadRequest("tags: the key '" + Text(key) + "' must have 1 to " +
                      std::to_string(kTagKeyCharactersMax) + " characters");
  }
  if (BeginsWithAws(key)) {
    return BadRequest("tags: the key '" + Text(key) + "' must not begin with aws:");
  }
  if (!IsTagText(key)) {
    return BadRequest("tags: the key '" + Text(key) +
                      "' may have letters, digits, spaces and _.:/=+-@ only");
  }
  return Ok();
}

Result<void> CheckTags(const Tags& tags) {
  std::set<std::string_view> keys;
  for (const v1::Tag& tag : tags) {
    TRY(CheckTagKey(tag.key()));
    if (!keys.insert(tag.key()).second) {
      return BadRequest("tags: the key '" + tag.key() + "' is there twice");
    }
    if (Characters(tag.value()) > kTagValueCharactersMax) {
      return BadRequest("tags: the value of '" + tag.key() + "' must have at most " +
                        std::to_string(kTagValueCharactersMax) + " characters");
    }
    if (!IsTagText(tag.value())) {
      return BadRequest("tags: the value of '" + tag.key() +
                        "' may have letters, digits, spaces and _.:/=+-@ only");
    }
  }
  if (keys.size() <= kTagsMax) return Ok();
  return BadRequest("tags: " + std::to_string(keys.size()) + " tags, a resource has at most " +
                    std::to_string(kTagsMax));
}

Result<void> CheckZone(std::string_view zone) {
  if (Characters(zone) <= kZoneCharactersMax) return Ok();
  return BadRequest("availability_zone_name must have at most " +
                    std::to_string(kZoneCharactersMax) + " characters");
}

Result<std::vector<IpRange>> ParseSecurityGroups(
    const google::protobuf::RepeatedPtrField<std::string>& groups,
    const std::vector<IpRange>& own_node) {
  if (groups.size() > kSecurityGroupsMax) {
    return Error(Code::kLimitExceeded,
                 "security_groups may have at most " + std::to_string(kSecurityGroupsMax) +
                     " ranges: use wider ones",
                 "SecurityGroupLimitExceeded");
  }
  std::vector<IpRange> ranges;
  ranges.reserve(static_cast<size_t>(groups.size()));
  for (const std::string& group : groups) {
    if (group == kOwnNodeGroup) {
      ranges.insert(ranges.end(), own_node.begin(), own_node.end());
      continue;
    }
    auto range = IpRange::Parse(group);
    if (!range) {
      return BadRequest("security_groups: '" + group.substr(0, kZoneCharactersMax) +
                        "' is no address and no range of them, such as 10.0.0.0/8, and not 'node'");
    }
    ranges.push_back(*range);
  }
  return ranges;
}

Result<void> CheckPath(std::string_view path) {
  std::string at = "root_directory.path '" + Text(path) + "' ";
  if (Characters(path) > kPathCharactersMax) {
    return BadRequest(at + "has more than " + std::to_string(kPathCharactersMax) + " characters");
  }
  if (path == "/") return Ok();
  if (!path.starts_with('/')) return BadRequest(at + "must begin with /");
  size_t levels = 0;
  for (size_t begin = 1; begin <= path.size(); ++levels) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view name = path.substr(begin, end - begin);
    if (name.empty()) return BadRequest(at + "has an empty level: leave out the extra /");
    if (name.front() == '.') return BadRequest(at + "has a level that begins with a dot");
    if (name.find_first_of(std::string_view("$#<>;`|&?{}^*\n\0", 15)) != std::string_view::npos) {
      return BadRequest(at + "must not have any of $ # < > ; ` | & ? { } ^ * or a line end");
    }
    begin = end + 1;
  }
  if (levels <= kPathLevelsMax) return Ok();
  return BadRequest(at + "has " + std::to_string(levels) + " levels, at most " +
                    std::to_string(kPathLevelsMax) + " are allowed");
}

Result<uint32_t> ParsePermissions(std::string_view permissions) {
  bool octal = permissions.find_first_not_of("01234567") == std::string_view::npos;
  if (!octal || permissions.size() < 3 || permissions.size() > 4) {
    return BadRequest("root_directory.creation_info.permissions '" + Text(permissions) +
                      "': write 3 or 4 octal digits, such as 0755");
  }
  uint32_t bits = 0;
  for (char digit : permissions) bits = bits * 8 + static_cast<uint32_t>(digit - '0');
  return bits;
}

Result<void> CheckPosixUser(const v1::PosixUser& user) {
  if (user.secondary_gids_size() <= kSecondaryGidsMax) return Ok();
  return BadRequest("posix_user.secondary_gids: " + std::to_string(user.secondary_gids_size()) +
                    " given, at most " + std::to_string(kSecondaryGidsMax) + " are allowed");
}

Result<void> CheckThroughput(std::string_view performance_mode, std::string_view throughput_mode,
                             double provisioned_mibps) {
  if (performance_mode != "generalPurpose" && performance_mode != "maxIO") {
    return BadRequest("performance_mode '" + Text(performance_mode) +
                      "': use generalPurpose or maxIO");
  }
  bool provisioned = throughput_mode == "provisioned";
  if (!provisioned && throughput_mode != "bursting" && throughput_mode != "elastic") {
    return BadRequest("throughput_mode '" + Text(throughput_mode) +
                      "': use bursting, provisioned or elastic");
  }
  if (performance_mode == "maxIO" && throughput_mode == "elastic") {
    return BadRequest("throughput_mode elastic needs performance_mode generalPurpose");
  }
  if (!provisioned && provisioned_mibps != 0) {
    return BadRequest("provisioned_throughput_in_mibps needs throughput_mode provisioned");
  }
  // Negated, so that a NaN is refused.
  if (provisioned &&
      !(provisioned_mibps >= kProvisionedMibpsMin && std::isfinite(provisioned_mibps))) {
    return BadRequest(
        "throughput_mode provisioned needs provisioned_throughput_in_mibps of at least 1");
  }
  if (provisioned && provisioned_mibps > kProvisionedMibpsMax) {
    return ThroughputLimitExceeded("provisioned_throughput_in_mibps may be 3414 at most");
  }
  return Ok();
}

Result<std::vector<std::string>> CheckLifecycle(const Policies& policies) {
  if (policies.size() > kLifecyclePoliciesMax) {
    return BadRequest("lifecycle_policies: at most 3 objects are allowed");
  }
  int to_ia = 0;
  int to_archive = 0;
  bool to_primary = false;
  for (const v1::LifecyclePolicy& policy : policies) {
    int rules = !policy.transition_to_ia().empty() + !policy.transition_to_archive().empty() +
                !policy.transition_to_primary_storage_class().empty();
    if (rules != 1) {
      return BadRequest("lifecycle_policies: each object must have exactly one transition");
    }
    TRY(TakeAge("transition_to_ia", policy.transition_to_ia(), to_ia));
    TRY(TakeAge("transition_to_archive", policy.transition_to_archive(), to_archive));
    const std::string& back = policy.transition_to_primary_storage_class();
    if (back.empty()) continue;
    if (back != "AFTER_1_ACCESS") {
      return BadRequest("transition_to_primary_storage_class '" + back + "': use AFTER_1_ACCESS");
    }
    if (to_primary) {
      return BadRequest("lifecycle_policies has transition_to_primary_storage_class twice");
    }
    to_primary = true;
  }
  if (to_archive != 0 && to_ia != 0 && to_archive <= to_ia) {
    return BadRequest(
        "transition_to_archive must either not be set or must be later than transition_to_ia");
  }
  std::vector<std::string> warnings;
  if (to_archive != 0 && to_archive < 90) {
    warnings.push_back("EFS once allowed Archive after 90 days at the earliest");
  }
  if (to_archive != 0 && to_ia != 0 && to_archive - to_ia < 45) {
    warnings.push_back("EFS once allowed Archive 45 days after IA at the earliest");
  }
  return warnings;
}

bool HasArchiveRule(const Policies& policies) {
  return std::any_of(policies.begin(), policies.end(), [](const v1::LifecyclePolicy& policy) {
    return !policy.transition_to_archive().empty();
  });
}

Result<uint32_t> PageSize(std::string_view field, uint32_t asked) {
  if (asked <= kPageItemsMax) return asked == 0 ? kPageItems : asked;
  return BadRequest(Text(field) + " may be " + std::to_string(kPageItemsMax) + " at most");
}

bool IsWithin(std::string_view path, std::string_view above) {
  if (above == "/") return true;
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

}  // namespace tarn::control
