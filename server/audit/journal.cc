#include "server/audit/journal.h"

#include <algorithm>
#include <utility>

#include "server/audit/log.h"

namespace tarn::audit {
namespace {

nlohmann::ordered_json LineOf(const Access& access, uint64_t unwritten) {
  nlohmann::ordered_json line{{"audit", "Mount"}, {"result", access.granted ? "ok" : "denied"}};
  if (!access.granted) line["layer"] = Name(access.layer);
  line["message"] = access.reason;
  line["who"] = access.service_account.empty() ? "anonymous" : access.service_account;
  if (!access.pod.empty()) line["pod"] = access.pod;
  line["peer"] = access.address;
  line["transport"] = access.transport;
  if (!access.file_system_id.empty()) line["fileSystem"] = access.file_system_id;
  if (!access.access_point_id.empty()) line["accessPoint"] = access.access_point_id;
  if (access.granted) line["write"] = access.write;
  if (access.granted) line["root"] = access.root;
  if (unwritten != 0) line["unwritten"] = unwritten;
  return line;
}

}  // namespace

const char* Name(Layer layer) {
  switch (layer) {
    case Layer::kNetwork:
      return "network";
    case Layer::kIdentity:
      return "identity";
    case Layer::kPolicy:
      return "policy";
    case Layer::kPosix:
      return "posix";
  }
  return "unknown";
}

void Journal::Add(Access access) {
  if (access.reason.size() > kReasonBytesMax) access.reason.resize(kReasonBytesMax);
  WriteLine(access);
  const auto now = clock_.Now();
  const int64_t seconds = std::chrono::floor<std::chrono::seconds>(now).count();
  std::lock_guard lock(mutex_);
  // The first one is not 1 but the time, in microseconds: whoever knows a sequence of the process
  // that was here before is given all that came since, however much that is.
  if (last_ == 0) {
    last_ = static_cast<uint64_t>(std::chrono::floor<std::chrono::microseconds>(now).count());
  }
  auto& recent = KindOf(access).recent;
  recent.push_back({++last_, seconds, std::move(access)});
  if (recent.size() > kRecentMax) recent.pop_front();
}

void Journal::WriteLine(const Access& access) {
  Kind& kind = KindOf(access);
  const bool write = kind.ration.Take();
  uint64_t unwritten = 0;
  {
    std::lock_guard lock(mutex_);
    if (!write) {
      ++kind.unwritten;
      return;
    }
    unwritten = std::exchange(kind.unwritten, 0);
  }
  Write(spdlog::level::info, LineOf(access, unwritten));
}

std::vector<Journal::Entry> Journal::Recent(const Query& query) const {
  std::vector<Entry> found;
  std::lock_guard lock(mutex_);
  auto granted = granted_.recent.rbegin();
  auto denied = denied_.recent.rbegin();
  while (found.size() < query.max) {
    const bool no_grant = query.denied_only || granted == granted_.recent.rend();
    const bool no_denial = denied == denied_.recent.rend();
    if (no_grant && no_denial) break;
    const bool take_grant = no_denial || (!no_grant && granted->sequence > denied->sequence);
    const Entry& entry = take_grant ? *granted++ : *denied++;
    if (entry.sequence <= query.after) break;
    if (!query.pod.empty() && query.pod != entry.access.pod) continue;
    if (!query.file_system_id.empty() && query.file_system_id != entry.access.file_system_id) {
      continue;
    }
    found.push_back(entry);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

uint64_t Journal::last_sequence() const {
  std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace tarn::audit
