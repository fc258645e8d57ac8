// Limits of the EFS API (reference 2015-02-01, "Quotas"), in one place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tarn::control {

inline constexpr size_t kFileSystemsMax = 1'000;
inline constexpr size_t kAccessPointsPerFileSystemMax = 10'000;
inline constexpr size_t kMountTargetsMax = 400;
// Each is looked at once a connection; a cluster's nodes have some addresses each.
inline constexpr int kSecurityGroupsMax = 10'000;
inline constexpr size_t kTokenCharactersMax = 64;
inline constexpr size_t kTagsMax = 50;
inline constexpr size_t kTagKeyCharactersMax = 128;
inline constexpr size_t kTagValueCharactersMax = 256;
inline constexpr size_t kPathCharactersMax = 100;
inline constexpr size_t kPathLevelsMax = 4;
inline constexpr int kSecondaryGidsMax = 16;
inline constexpr double kProvisionedMibpsMin = 1;
inline constexpr double kProvisionedMibpsMax = 3'414;
inline constexpr uint32_t kPageItems = 100;
inline constexpr uint32_t kPageItemsMax = 1'000;
inline constexpr int kLifecyclePoliciesMax = 3;
inline constexpr size_t kFsckProblemsMax = 1'000;
// A disk of today reads several times as much; the rest is left to the clients.
inline constexpr uint64_t kScrubBytesPerSecond = 64u << 20;
inline constexpr uint64_t kScrubBytesPerSecondMin = 64u << 10;
inline constexpr size_t kZoneCharactersMax = 64;

}  // namespace tarn::control
