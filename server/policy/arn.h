// Names of resources as policies write them:
//   arn:aws:elasticfilesystem:<region>:<account>:file-system/fs-…
//   arn:aws:elasticfilesystem:<region>:<account>:access-point/fsap-…
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace tarn::policy {

std::string FileSystemArn(std::string_view region, std::string_view account, std::string_view id);
std::string AccessPointArn(std::string_view region, std::string_view account, std::string_view id);

// Of an access point of that file system; nullopt: its ARN is none.
std::optional<std::string> AccessPointArnBeside(std::string_view file_system_arn,
                                                std::string_view id);

// "fs-…" of an ARN: what stands behind its last slash.
std::string_view IdOfArn(std::string_view arn);

// The account of an ARN; empty: none is in it.
std::string_view AccountOfArn(std::string_view arn);

// "arn", partition, service, region, account, and all the rest, colons included. Colons within
// "${…}" do not count. nullopt: there are fewer.
inline constexpr size_t kArnParts = 6;
std::optional<std::array<std::string_view, kArnParts>> SplitArn(std::string_view text);

}  // namespace tarn::policy
