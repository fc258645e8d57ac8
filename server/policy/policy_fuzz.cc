// A policy's text, and a request from the bytes before it: a control byte, then five words that end
// with a zero byte.
#include "common/fuzz.h"
#include "server/policy/policy.h"

using namespace tarn;          // NOLINT(google-build-using-namespace)
using namespace tarn::policy;  // NOLINT(google-build-using-namespace)

namespace {

std::string_view TakeWord(std::string_view& bytes) {
  size_t end = std::min(bytes.find('\0'), bytes.size());
  std::string_view word = bytes.substr(0, end);
  bytes.remove_prefix(std::min(bytes.size(), end + 1));
  return word;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto control = static_cast<unsigned>(*data);
  bytes.remove_prefix(1);
  Request request;
  std::string_view who = TakeWord(bytes);
  (control & 32u ? request.aws_principal : request.service_account) = who;
  if ((control & 64u) != 0) request.issuer = who;
  request.pod = TakeWord(bytes);
  request.access_point_arn = TakeWord(bytes);
  request.source_ip = IpAddress::Parse(TakeWord(bytes));
  std::string groups[2];
  groups[0] = groups[1] = TakeWord(bytes);
  groups[1] += "x";
  request.groups = std::span(groups, control & 3u ? 2 : 0);
  request.secure_transport = (control & 4u) != 0;
  request.via_mount_target = (control & 8u) != 0;
  request.now_seconds = static_cast<int64_t>(control) << 24;
  request.file_system_arn = "arn:aws:elasticfilesystem:r:1:file-system/fs-1";

  auto policy = Policy::Compile(bytes, control & 16u ? request.file_system_arn : "");
  if (!policy.ok()) {
    FUZZ_REQUIRE(policy.error().api_name() == "InvalidPolicyException");
    FUZZ_REQUIRE(policy.error().message().size() < 1'100);
    return 0;
  }
  FUZZ_REQUIRE(bytes.size() <= 4 * kCharactersMax);
  Rights rights = (*policy)->Decide(request);
  for (Action action : kActions) {
    const Decision& decision = rights.of(action);
    FUZZ_REQUIRE((*policy)->Decide(request, action) == decision);
    FUZZ_REQUIRE((decision.statement >= 0) == (decision.reason != Reason::kNoStatementAllows));
    FUZZ_REQUIRE(!decision.allowed() || (*policy)->EverAllows(action));
    FUZZ_REQUIRE(!Explain(policy->get(), action, decision).empty());
  }
  return 0;
}
