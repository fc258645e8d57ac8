#include "operator/kube/controller.h"

#include <spdlog/spdlog.h>

namespace tarn::kube {

void Controller::Start() {
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Run(stop); });
  }
}

void Controller::Stop() {
  for (std::jthread& t : threads_) t.request_stop();
  threads_.clear();
}

void Controller::Run(std::stop_token stop) {
  while (auto key = queue_.Take(stop)) {
    One(*key);
    queue_.Done(*key);
  }
}

void Controller::One(const std::string& key) {
  size_t slash = key.find('/');
  ObjectName name = slash == std::string::npos
                        ? ObjectName{"", key}
                        : ObjectName{key.substr(0, slash), key.substr(slash + 1)};
  ++reconciles_;
  Result<Outcome> outcome = Outcome{};
  try {
    outcome = reconcile_(name);
  } catch (const std::exception& e) {
    // JSON of an unexpected shape is the one thing that can throw here: one bad object must not end
    // the program.
    outcome = Error(Code::kInternal, e.what());
  }
  if (outcome.ok()) {
    queue_.Forget(key);
    queue_.AddAfter(key, outcome->again_after.count() > 0 ? outcome->again_after
                                                          : std::chrono::milliseconds(kResync));
    return;
  }
  ++failures_;
  if (outcome.code() == Code::kInvalid) {
    spdlog::error("{} {}: {}", name_, key, outcome.error().ToString());
    queue_.AddAfter(key, kResync);
    return;
  }
  auto wait = queue_.AddRateLimited(key);
  // A conflict is ordinary: somebody else wrote first.
  auto level = outcome.code() == Code::kAborted ? spdlog::level::debug : spdlog::level::warn;
  spdlog::log(level, "{} {}: {}; again in {} ms", name_, key, outcome.error().ToString(),
              wait.count());
}

}  // namespace tarn::kube
