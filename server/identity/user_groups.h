// UserGroups: which groups users are in, where the server looks that up itself instead of believing
// each call: AUTH_SYS has room for 16 groups, and is the client's own word. (What knfsd does with
// --manage-gids.)
//
// The file:
//   {"unlisted": "call",
//    "users": [{"uid": 1000, "gid": 1000, "gids": [2000, 2001]}]}
// `unlisted` is what counts for a user who is not in it: "call", the default, the groups of the
// call; "none", no group at all. At most kUsersMax users with kUserGroupsMax groups each, `gid`
// included, and 1 MiB (common/files.h).
//
// Threads: any; immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/result.h"

namespace tarn::identity {

inline constexpr size_t kUsersMax = 16'384;
inline constexpr size_t kUserGroupsMax = 1024;
inline constexpr uint32_t kNoGroup = 65534;

class UserGroups {
 public:
  static constexpr std::string_view kWhat = "the file of users' groups";

  // kInvalid names the field at fault.
  static Result<std::shared_ptr<const UserGroups>> Parse(std::string_view file);

  // From what a call says to what counts. `gid`, the group of what the user makes, stays if it is
  // one of the user's groups, so that newgrp works; else it becomes the first of them.
  void Apply(uint32_t uid, uint32_t& gid, std::vector<uint32_t>& gids) const;

 private:
  struct User {
    uint32_t gid = 0;
    std::vector<uint32_t> gids;  // sorted
  };
  std::unordered_map<uint32_t, User> users_;
  bool believe_unlisted_ = true;
};

}  // namespace tarn::identity
