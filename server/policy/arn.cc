#include "server/policy/arn.h"

namespace tarn::policy {
namespace {

std::string Arn(std::string_view region, std::string_view account, std::string_view kind,
                std::string_view id) {
  std::string arn = "arn:aws:elasticfilesystem:";
  return arn.append(region).append(":").append(account).append(":").append(kind).append(id);
}

}  // namespace

std::string FileSystemArn(std::string_view region, std::string_view account, std::string_view id) {
  return Arn(region, account, "file-system/", id);
}

std::string AccessPointArn(std::string_view region, std::string_view account, std::string_view id) {
  return Arn(region, account, "access-point/", id);
}

std::optional<std::string> AccessPointArnBeside(std::string_view file_system_arn,
                                                std::string_view id) {
  auto parts = SplitArn(file_system_arn);
  if (!parts) return std::nullopt;
  return AccessPointArn((*parts)[3], (*parts)[4], id);
}

std::string_view IdOfArn(std::string_view arn) {
  size_t slash = arn.rfind('/');
  return slash == arn.npos ? arn : arn.substr(slash + 1);
}

std::string_view AccountOfArn(std::string_view arn) {
  auto parts = SplitArn(arn);
  return parts ? (*parts)[4] : std::string_view();
}

std::optional<std::array<std::string_view, kArnParts>> SplitArn(std::string_view text) {
  std::array<std::string_view, kArnParts> parts;
  size_t part = 0, begin = 0;
  bool variable = false;
  for (size_t at = 0; at < text.size() && part + 1 < kArnParts; ++at) {
    if (text.substr(at).starts_with("${")) variable = true;
    if (text[at] == '}') variable = false;
    if (text[at] != ':' || variable) continue;
    parts[part++] = text.substr(begin, at - begin);
    begin = at + 1;
  }
  if (part + 1 < kArnParts) return std::nullopt;
  parts[part] = text.substr(begin);
  return parts;
}

}  // namespace tarn::policy
