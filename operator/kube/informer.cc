#include "operator/kube/informer.h"

#include <spdlog/spdlog.h>

#include <random>

#include "operator/kube/backoff.h"
#include "operator/kube/text.h"

namespace tarn::kube {
namespace {

// A random life keeps the watches of many clients from ending together.
constexpr int kMinWatchSeconds = 300;
constexpr int kMaxWatchSeconds = 600;
// A watch that ends sooner than this without an event counts as a failure.
constexpr std::chrono::seconds kShortWatch{1};
constexpr std::chrono::minutes kHealthyWatch{2};

std::string VersionOf(const Json& object) {
  return Str(Object(object, "metadata"), "resourceVersion");
}

}  // namespace

Informer::Informer(Client& client, ResourceType type, Options options)
    : client_(client), type_(std::move(type)), options_(std::move(options)) {}

Informer::~Informer() {
  Stop();
}

void Informer::OnChange(std::function<void(const Json&, bool)> handler) {
  handlers_.push_back(std::move(handler));
}

void Informer::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

void Informer::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

bool Informer::WaitSynced(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mu_);
  return wake_.wait_for(lock, timeout, [this] { return synced_.load(); });
}

std::optional<Json> Informer::Find(const ObjectName& name) const {
  std::lock_guard lock(mu_);
  auto it = objects_.find(name);
  if (it == objects_.end()) return std::nullopt;
  return it->second;
}

std::vector<Json> Informer::All() const {
  std::lock_guard lock(mu_);
  std::vector<Json> out;
  out.reserve(objects_.size());
  for (const auto& [name, object] : objects_) out.push_back(object);
  return out;
}

std::vector<Json> Informer::Where(const std::function<bool(const Json&)>& wanted) const {
  std::lock_guard lock(mu_);
  std::vector<Json> out;
  for (const auto& [name, object] : objects_) {
    if (wanted(object)) out.push_back(object);
  }
  return out;
}

void Informer::Tell(const Json& object, bool deleted) {
  for (const auto& handler : handlers_) handler(object, deleted);
}

void Informer::Put(Json object) {
  if (options_.trim) options_.trim(object);
  object["metadata"].erase("managedFields");
  ObjectName name = NameOf(object);
  {
    std::lock_guard lock(mu_);
    auto it = objects_.find(name);
    if (it == objects_.end() && objects_.size() >= kMaxObjects) {
      spdlog::error("{}: more than {} objects; {} is not seen", type_.plural, kMaxObjects,
                    name.Key());
      return;
    }
    // A list after a reconnect repeats what is known.
    if (it != objects_.end() && VersionOf(it->second) == VersionOf(object)) return;
    objects_[name] = object;
  }
  Tell(object, false);
}

void Informer::Remove(const ObjectName& name) {
  Json gone;
  {
    std::lock_guard lock(mu_);
    auto it = objects_.find(name);
    if (it == objects_.end()) return;
    gone = std::move(it->second);
    objects_.erase(it);
  }
  Tell(gone, true);
}

Result<std::string> Informer::Relist(bool any_version) {
  TRY(Json list, client_.List(type_, options_.list, any_version));
  ++lists_;
  std::map<ObjectName, bool> listed;
  for (Json& item : list["items"]) {
    listed[NameOf(item)] = true;
    Put(std::move(item));
  }
  std::vector<ObjectName> gone;
  {
    std::lock_guard lock(mu_);
    for (const auto& [name, object] : objects_) {
      if (!listed.contains(name)) gone.push_back(name);
    }
  }
  for (const ObjectName& name : gone) Remove(name);
  {
    std::lock_guard lock(mu_);
    synced_ = true;
  }
  wake_.notify_all();
  return VersionOf(list);
}

void Informer::Handle(WatchEvent event, std::string& version) {
  if (std::string v = VersionOf(event.object); !v.empty()) version = v;
  if (event.type == "BOOKMARK") return;
  if (event.type == "DELETED") return Remove(NameOf(event.object));
  Put(std::move(event.object));
}

bool Informer::Pause(std::stop_token stop, std::chrono::milliseconds time) {
  std::mutex mu;
  std::unique_lock lock(mu);
  std::condition_variable_any never;
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

void Informer::Run(std::stop_token stop) {
  Backoff backoff(options_.first_retry, options_.last_retry);
  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> life(kMinWatchSeconds, kMaxWatchSeconds);
  std::string version;
  bool expired = false;
  while (!stop.stop_requested()) {
    if (version.empty()) {
      auto listed = Relist(!expired);
      if (!listed.ok()) {
        spdlog::warn("list of {}: {}", type_.plural, listed.error().ToString());
        if (!Pause(stop, backoff.Next())) return;
        continue;
      }
      version = *listed;
      expired = false;
    }
    auto start = std::chrono::steady_clock::now();
    int events = 0;
    auto ended = client_.Watch(
        type_, options_.list, version, std::chrono::seconds(life(random)),
        [&](WatchEvent event) {
          ++events;
          Handle(std::move(event), version);
        },
        stop);
    if (stop.stop_requested()) return;
    auto lived = std::chrono::steady_clock::now() - start;
    if (lived >= kHealthyWatch || events > 0) backoff.Reset();
    if (ended.ok() && (events > 0 || lived >= kShortWatch)) continue;
    if (ended.code() == Code::kStale) {
      version.clear();
      expired = true;
      spdlog::info("watch of {}: version expired, listing anew", type_.plural);
    } else if (!ended.ok()) {
      spdlog::warn("watch of {}: {}", type_.plural, ended.error().ToString());
    }
    if (!Pause(stop, backoff.Next())) return;
  }
}

}  // namespace tarn::kube
