// The value rules of the EFS API (patterns and limits of its API reference). Each error is
// BadRequest (or the error that EFS names), says which field is wrong and what is right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/control.pb.h"
#include "common/ip_address.h"
#include "common/result.h"

namespace tarn::control {

using Tags = google::protobuf::RepeatedPtrField<v1::Tag>;
using Policies = google::protobuf::RepeatedPtrField<v1::LifecyclePolicy>;

// "fs-", "fsap-", "fsmt-" and 8 to 40 hex digits. `field` is named in the error.
Result<void> CheckId(std::string_view field, std::string_view prefix, std::string_view id);
Result<void> CheckToken(std::string_view field, std::string_view token);
// A set of at most 50, keys unlike each other.
Result<void> CheckTags(const Tags& tags);
Result<void> CheckTagKey(std::string_view key);
Result<void> CheckZone(std::string_view zone);

// Addresses, ranges of them, and "node", which stands for `own_node`.
inline constexpr std::string_view kOwnNodeGroup = "node";
Result<std::vector<IpRange>> ParseSecurityGroups(
    const google::protobuf::RepeatedPtrField<std::string>& groups,
    const std::vector<IpRange>& own_node);

// "/" or 1 to 4 levels: ^(\/|(\/(?!\.)+[^$#<>;`|&?{}^*/\n]+){1,4})$, at most 100 characters.
Result<void> CheckPath(std::string_view path);
// ^[0-7]{3,4}$; the mode bits.
Result<uint32_t> ParsePermissions(std::string_view permissions);
Result<void> CheckPosixUser(const v1::PosixUser& user);

// Performance mode, throughput mode and provisioned throughput that go together.
Result<void> CheckThroughput(std::string_view performance_mode, std::string_view throughput_mode,
                             double provisioned_mibps);
// At most one transition an object and one of a kind; archive later than IA. The result has the
// warnings: rules that EFS had before.
Result<std::vector<std::string>> CheckLifecycle(const Policies& policies);
bool HasArchiveRule(const Policies& policies);

// How many items a page has: `asked`, or the default for 0. `field` is named in the error.
Result<uint32_t> PageSize(std::string_view field, uint32_t asked);

// Is `path` the directory `above`, or in it? By components: "/foobar" is not in "/foo".
bool IsWithin(std::string_view path, std::string_view above);

}  // namespace tarn::control
