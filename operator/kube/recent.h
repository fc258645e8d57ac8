// Recent: objects by name, as they were read or written a short time ago. For types that we may not
// list or watch: a reconcile asks for the same Secrets each time, and hardly any of them changes.
//
// What somebody else does to such an object is seen once what is remembered is older than the
// reader takes. Bounded: of more objects those that were remembered first are forgotten. Values in
// memory only. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "operator/kube/client.h"

namespace tarn::kube {

class Recent {
 public:
  static constexpr size_t kMaxObjects = 4096;
  static constexpr int64_t kFreshSeconds = 60;

  // `client` must outlive it. `now_seconds`: since 1970.
  Recent(Client& client, std::function<int64_t()> now_seconds)
      : client_(client), now_seconds_(std::move(now_seconds)) {}

  // As Client::Get, or as remembered for at most kFreshSeconds. That there is none is not
  // remembered.
  Result<Json> Get(const ResourceType& type, const ObjectName& name);
  // As remembered for at most `max_age` seconds; nullopt: not, or for longer.
  std::optional<Json> Peek(const ResourceType& type, const ObjectName& name, int64_t max_age);
  // As the API server has just shown it.
  void Put(const ResourceType& type, const Json& object);
  void Forget(const ResourceType& type, const ObjectName& name);

 private:
  struct Seen {
    Json object;
    int64_t at = 0;
  };

  Client& client_;
  const std::function<int64_t()> now_seconds_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, Seen> seen_;
  std::deque<std::string> order_;  // of their first time; also of some that are forgotten
};

}  // namespace tarn::kube
