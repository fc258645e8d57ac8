// A table of cases: a policy, a request, and the rights that the rules of IAM give.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/policy/policy.h"

namespace tarn::policy {

inline constexpr std::string_view kFileSystem =
    "arn:aws:elasticfilesystem:local:000000000000:file-system/fs-0123456789abcdef0";
inline constexpr std::string_view kAccessPoint =
    "arn:aws:elasticfilesystem:local:000000000000:access-point/fsap-0123456789abcdef0";

struct Case {
  const char* name;
  const char* why;  // the rule
  // JSON with ' for " and ` for '. A whole policy, or the statements of one of 2012-10-17.
  const char* policy;
  // Words: "sa=namespace/name", "iss=url", "aws=arn", "pod=namespace/name", "groups=a,b",
  // "ip=192.0.2.1", "tls", "direct" (not by a mount target), "ap" (kAccessPoint), "ap=fsap-…",
  // "now=seconds".
  const char* request;
  const char* rights;  // "mwr", with - for what is not allowed
};

// A request with the strings that it borrows.
struct OwnedRequest {
  std::string service_account, issuer, aws_principal, pod, access_point;
  std::vector<std::string> groups;
  Request request;
};

// The policy's JSON.
std::string Document(std::string_view text);
// Fills `owned`, which must stay where it is.
void ParseRequest(std::string_view words, OwnedRequest& owned);
// "mw-"; each decision by itself.
std::string Text(const Rights& rights);

// Checks each case: its rights, each action alone, and that two equal names are none.
void Check(std::span<const Case> cases);

// Beginnings and wholes of statements.
#define ALLOW "{'Effect':'Allow','Principal':'*','Action':'*'"
#define DENY "{'Effect':'Deny','Principal':'*','Action':'*'"
#define ALLOW_ALL ALLOW "}"
#define DENY_ALL DENY "}"
#define ALLOW_IF(conditions) ALLOW ",'Condition':{" conditions "}}"
#define DENY_IF(conditions) DENY ",'Condition':{" conditions "}}"

}  // namespace tarn::policy
