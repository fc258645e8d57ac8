#include "server/control/errors.h"

namespace tarn::control {
namespace {

std::string Quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

}  // namespace

Error BadRequest(std::string message) {
  return {Code::kInvalid, std::move(message), "BadRequest"};
}

Error FileSystemNotFound(std::string_view id) {
  return {Code::kNotFound, "File system " + Quoted(id) + " does not exist.", "FileSystemNotFound",
          std::string(id)};
}

Error MountTargetNotFound(std::string_view id) {
  return {Code::kNotFound, "Mount target " + Quoted(id) + " does not exist.", "MountTargetNotFound",
          std::string(id)};
}

Error AccessPointNotFound(std::string_view id) {
  return {Code::kNotFound, "Access Point " + std::string(id) + " does not exist.",
          "AccessPointNotFound", std::string(id)};
}

Error PolicyNotFound(std::string_view id) {
  return {Code::kNotFound,
          "File system " + Quoted(id) + " has no policy: everybody may do everything.",
          "PolicyNotFound", std::string(id)};
}

Error FileSystemAlreadyExists(std::string_view id, std::string_view token) {
  return {Code::kAlreadyExists,
          "File system " + Quoted(id) + " already exists with creation token " + Quoted(token) +
              " and other properties: use another token",
          "FileSystemAlreadyExists", std::string(id)};
}

Error AccessPointAlreadyExists(std::string_view id, std::string_view token) {
  return {Code::kAlreadyExists,
          "Access point " + Quoted(id) + " already exists with client token " + Quoted(token) +
              " and other properties: use another token",
          "AccessPointAlreadyExists", std::string(id)};
}

Error MountTargetConflict(std::string message, std::string_view id) {
  return {Code::kAlreadyExists, std::move(message), "MountTargetConflict", std::string(id)};
}

Error IpAddressInUse(std::string message, std::string_view id) {
  return {Code::kInUse, std::move(message), "IpAddressInUse", std::string(id)};
}

Error FileSystemInUse(std::string message, std::string_view by) {
  return {Code::kInUse, std::move(message), "FileSystemInUse", std::string(by)};
}

Error WrongFileSystemState(std::string_view id, std::string_view state) {
  return {Code::kWrongState,
          "File system " + Quoted(id) + " is " + std::string(state) + ", not available: try later",
          "IncorrectFileSystemLifeCycleState", std::string(id)};
}

Error Conflict(std::string message, std::string_view by) {
  return {Code::kInUse, std::move(message), "ConflictException", std::string(by)};
}

Error FileSystemLimitExceeded(std::string message) {
  return {Code::kLimitExceeded, std::move(message), "FileSystemLimitExceeded"};
}

Error AccessPointLimitExceeded(std::string message) {
  return {Code::kLimitExceeded, std::move(message), "AccessPointLimitExceeded"};
}

Error ThroughputLimitExceeded(std::string message) {
  return {Code::kInvalid, std::move(message), "ThroughputLimitExceeded"};
}

Error TooManyRequests(std::string message) {
  return {Code::kUnavailable, std::move(message), "TooManyRequests"};
}

Error DependencyTimeout(std::string message) {
  return {Code::kUnavailable, std::move(message), "DependencyTimeout"};
}

}  // namespace tarn::control
