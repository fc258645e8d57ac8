#include "operator/kube/testing/fake_cluster.h"

#include "operator/kube/text.h"

namespace tarn::kube {
namespace {

struct Path {
  std::string collection, name, sub, query;
};

// "/api/v1/namespaces/NS/services/NAME/status?q": a collection ends with the plural, which may
// follow a namespace.
Path Split(const std::string& target) {
  Path out;
  std::string path = target.substr(0, target.find('?'));
  if (size_t q = target.find('?'); q != std::string::npos) out.query = "&" + target.substr(q + 1);
  std::vector<std::string> parts;
  for (size_t i = 1; i <= path.size();) {
    size_t end = std::min(path.find('/', i), path.size());
    parts.push_back(path.substr(i, end - i));
    i = end + 1;
  }
  size_t n = parts[0] == "api" ? 2 : 3;
  if (parts.size() > n + 2 && parts[n] == "namespaces") n += 2;
  for (size_t i = 0; i <= n && i < parts.size(); ++i) out.collection += "/" + parts[i];
  if (parts.size() > n + 1) out.name = parts[n + 1];
  if (parts.size() > n + 2) out.sub = parts[n + 2];
  return out;
}

std::string Query(const std::string& query, const std::string& key) {
  size_t at = query.find("&" + key + "=");
  if (at == std::string::npos) return {};
  at += key.size() + 2;
  return query.substr(at, query.find('&', at) - at);
}

std::string Unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escaped = text[i] == '%' && i + 2 < text.size();
    out += escaped ? static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)) : text[i];
    if (escaped) i += 2;
  }
  return out;
}

// Of a label selector only terms of the form key=value are looked at.
bool Selected(const Json& object, const std::string& selector) {
  const Json& labels = Object(Object(object, "metadata"), "labels");
  for (size_t at = 0; at < selector.size();) {
    size_t end = std::min(selector.find(',', at), selector.size());
    std::string term = selector.substr(at, end - at);
    at = end + 1;
    size_t equals = term.find('=');
    if (equals == std::string::npos) continue;
    if (Str(labels, term.substr(0, equals)) != term.substr(equals + 1)) return false;
  }
  return true;
}

// Whether objects of `collection` are in a list of `wanted`, which may be that of all namespaces.
bool Matches(const std::string& wanted, const std::string& collection) {
  if (wanted == collection) return true;
  size_t ns = collection.find("/namespaces/");
  if (ns == std::string::npos) return false;
  size_t end = collection.find('/', ns + 12);
  return end != std::string::npos && wanted == collection.substr(0, ns) + collection.substr(end);
}

HttpResponse Status(int code, const std::string& reason, const std::string& message) {
  HttpResponse out;
  out.status = code;
  out.body = Json{
      {"kind", "Status"},
      {"status", "Failure"},
      {"code", code},
      {"reason", reason},
      {"message",
       message}}.dump();
  return out;
}

HttpResponse Good(const Json& object, int status = 200) {
  HttpResponse out;
  out.status = status;
  out.body = object.dump();
  return out;
}

}  // namespace

Result<HttpResponse> FakeCluster::Do(const HttpRequest& request) {
  std::lock_guard lock(mu_);
  requests_.push_back(request.method + " " + request.target);
  if (!faults_.empty()) {
    auto [status, reason] = faults_.front();
    faults_.pop_front();
    if (status == 0) return Error(Code::kUnavailable, "connection reset");
    return Status(status, reason, "injected");
  }
  return Answer(request);
}

void FakeCluster::SetDocument(const std::string& path, const Json& document) {
  std::lock_guard lock(mu_);
  documents_[path] = document;
}

HttpResponse FakeCluster::Answer(const HttpRequest& request) {
  if (auto it = documents_.find(request.target); it != documents_.end()) {
    if (it->second.is_number()) return Status(it->second.get<int>(), "Failed", "not now");
    return it->second.is_null() ? Status(404, "NotFound", "not found") : Good(it->second);
  }
  Path path = Split(request.target);
  if (request.method == "GET") {
    // Lists come in pages; what else is no object is a document that is not there.
    if (path.name.empty() && path.query.empty()) return Status(404, "NotFound", "not found");
    if (path.name.empty()) return ListOf(path.collection, path.query);
    auto& in = objects_[path.collection];
    auto it = in.find(path.name);
    return it == in.end() ? Status(404, "NotFound", path.name + " not found") : Good(it->second);
  }
  if (request.method == "DELETE") return Drop(path.collection, path.name);
  return Write(request, path.collection, path.name, path.sub);
}

HttpResponse FakeCluster::ListOf(const std::string& collection, const std::string& query) {
  std::string selector = Unescaped(Query(query, "labelSelector"));
  Json items = Json::array();
  for (const auto& [c, objects] : objects_) {
    if (!Matches(collection, c)) continue;
    for (const auto& [name, object] : objects) {
      if (Selected(object, selector)) items.push_back(object);
    }
  }
  Json list = {{"kind", "List"}, {"metadata", {{"resourceVersion", std::to_string(version_)}}}};
  // A token is where the next page begins. From its cache an API server gives all at once.
  std::string limit = Query(query, "limit"), from = Query(query, "continue");
  if (Query(query, "resourceVersion") != "0" && !limit.empty()) {
    size_t begin = std::min(from.empty() ? 0 : std::stoul(from), items.size());
    size_t end = std::min(begin + std::stoul(limit), items.size());
    if (end < items.size()) list["metadata"]["continue"] = std::to_string(end);
    items = Json::array_t(items.begin() + static_cast<long>(begin),
                          items.begin() + static_cast<long>(end));
  }
  list["items"] = std::move(items);
  return Good(list);
}

HttpResponse FakeCluster::Write(const HttpRequest& request, const std::string& collection,
                                const std::string& path_name, const std::string& sub) {
  auto body = ParseJson(request.body);
  if (!body.ok()) return Status(400, "BadRequest", "not JSON");
  std::string name = path_name.empty() ? NameOf(*body).name : path_name;
  auto& in = objects_[collection];
  auto it = in.find(name);
  bool there = it != in.end();
  bool apply = request.content_type == "application/apply-patch+yaml";
  if (request.method == "POST" && there)
    return Status(409, "AlreadyExists", name + " already exists");
  if (request.method != "POST" && !there && (!apply || !sub.empty())) {
    return Status(404, "NotFound", name + " not found");
  }
  std::string wanted = Str(Object(*body, "metadata"), "resourceVersion");
  if (there && !wanted.empty() && wanted != Str(it->second["metadata"], "resourceVersion")) {
    return Status(409, "Conflict", "the object has been modified");
  }
  Json next = there && request.method == "PATCH" ? it->second : Json::object();
  if (request.method == "PATCH") {
    next.merge_patch(*body);
  } else {
    next = *body;
  }
  return Store(collection, name, std::move(next), sub);
}

HttpResponse FakeCluster::Store(const std::string& collection, const std::string& name, Json next,
                                const std::string& sub) {
  auto& in = objects_[collection];
  auto it = in.find(name);
  Json& metadata = next["metadata"];
  metadata["name"] = name;
  bool fresh = it == in.end();
  if (fresh) {
    if (!metadata.contains("uid")) metadata["uid"] = "uid-" + std::to_string(next_uid_++);
    metadata["generation"] = 1;
  } else {
    metadata["uid"] = it->second["metadata"]["uid"];
    const Json& old = it->second;
    if (!sub.empty()) {
      Json status = next[sub];
      next = old;
      next[sub] = status;
    } else if (Object(next, "spec") != Object(old, "spec")) {
      next["metadata"]["generation"] = Int(old["metadata"], "generation") + 1;
    }
    next["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"];
    if (next == old) return Good(old);
  }
  next["metadata"]["resourceVersion"] = std::to_string(++version_);
  if (collection.ends_with("/services") && !next["spec"].contains("clusterIP")) {
    next["spec"]["clusterIP"] = "10.96.0." + std::to_string(10 + version_ % 200);
  }
  in[name] = next;
  bool gone = next["metadata"].contains("deletionTimestamp") &&
              Array(next["metadata"], "finalizers").empty();
  if (gone) {
    Erase(collection, name);
  } else {
    Tell(fresh ? "ADDED" : "MODIFIED", collection, next);
    if (!OwnersAreThere(next)) Erase(collection, name);
  }
  return Good(next, fresh ? 201 : 200);
}

// Whether the garbage collector would leave it: it has no owner, or one that is there.
bool FakeCluster::OwnersAreThere(const Json& object) {
  const Json& owners = Array(object["metadata"], "ownerReferences");
  for (const Json& owner : owners) {
    for (const auto& [c, objects] : objects_) {
      for (const auto& [n, other] : objects) {
        if (Str(Object(other, "metadata"), "uid") == Str(owner, "uid")) return true;
      }
    }
  }
  return owners.empty();
}

HttpResponse FakeCluster::Drop(const std::string& collection, const std::string& name) {
  auto& in = objects_[collection];
  auto it = in.find(name);
  if (it == in.end()) return Status(404, "NotFound", name + " not found");
  if (!Array(it->second["metadata"], "finalizers").empty()) {
    it->second["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
    it->second["metadata"]["resourceVersion"] = std::to_string(++version_);
    Tell("MODIFIED", collection, it->second);
    return Good(it->second);
  }
  Erase(collection, name);
  return Good({{"kind", "Status"}, {"status", "Success"}});
}

void FakeCluster::Erase(const std::string& collection, const std::string& name) {
  Json object = objects_[collection][name];
  objects_[collection].erase(name);
  ++version_;
  object["metadata"]["resourceVersion"] = std::to_string(version_);
  Tell("DELETED", collection, object);
  std::string uid = Str(object["metadata"], "uid");
  std::vector<std::pair<std::string, std::string>> owned;
  for (const auto& [c, objects] : objects_) {
    for (const auto& [n, child] : objects) {
      for (const Json& owner : Array(child["metadata"], "ownerReferences")) {
        if (Str(owner, "uid") == uid) owned.emplace_back(c, n);
      }
    }
  }
  for (const auto& [c, n] : owned) Erase(c, n);
}

void FakeCluster::Tell(const std::string& type, const std::string& collection, const Json& object) {
  history_.push_back({version_, type, collection, object});
  wake_.notify_all();
}

Result<HttpResponse> FakeCluster::Stream(const HttpRequest& request,
                                         const std::function<bool(std::string_view)>& on_bytes,
                                         std::stop_token stop) {
  Path path = Split(request.target);
  int64_t from = std::atoll(Query(path.query, "resourceVersion").c_str());
  std::unique_lock lock(mu_);
  requests_.push_back("WATCH " + request.target);
  HttpResponse response;
  response.status = 200;
  if (!faults_.empty()) {
    auto [status, reason] = faults_.front();
    faults_.pop_front();
    if (status == 0) return Error(Code::kUnavailable, "connection reset");
    response.status = status;
    on_bytes(Status(status, reason, "injected").body);
    return response;
  }
  if (from < compacted_) {
    on_bytes(Json{{"type", "ERROR"},
                  {"object", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}}}}
                 .dump() +
             "\n");
    return response;
  }
  int cuts = cuts_;
  size_t next = 0;
  while (!stop.stop_requested()) {
    if (!injected_.empty()) {
      std::string line = injected_.front();
      injected_.pop_front();
      if (!on_bytes(line)) return response;
    }
    for (; next < history_.size(); ++next) {
      const Event& e = history_[next];
      if (e.version <= from || !Matches(path.collection, e.collection)) continue;
      std::string line = Json{{"type", e.type}, {"object", e.object}}.dump() + "\n";
      // In two pieces, as a network would.
      if (!on_bytes(line.substr(0, line.size() / 2)) || !on_bytes(line.substr(line.size() / 2)))
        return response;
    }
    if (cuts != cuts_) {
      if (!cut_mid_line_) return response;
      on_bytes("{\"type\":\"ADDED\",\"obj");
      return Error(Code::kUnavailable, "the stream was cut");
    }
    wake_.wait(lock, stop,
               [&] { return next < history_.size() || cuts != cuts_ || !injected_.empty(); });
  }
  return Error(Code::kUnavailable, "stopped");
}

void FakeCluster::FailNext(int status, const std::string& reason, int times) {
  std::lock_guard lock(mu_);
  for (int i = 0; i < times; ++i) faults_.emplace_back(status, reason);
}

void FakeCluster::CutWatches(bool mid_line) {
  std::lock_guard lock(mu_);
  ++cuts_;
  cut_mid_line_ = mid_line;
  wake_.notify_all();
}

void FakeCluster::Compact() {
  std::lock_guard lock(mu_);
  compacted_ = ++version_;
}

void FakeCluster::InjectWatchLine(const std::string& line) {
  std::lock_guard lock(mu_);
  injected_.push_back(line);
  wake_.notify_all();
}

void FakeCluster::Put(const std::string& collection, const Json& object) {
  std::lock_guard lock(mu_);
  std::string name = NameOf(object).name;
  Json next = objects_[collection].contains(name) ? objects_[collection][name] : Json::object();
  next.merge_patch(object);
  bool status_only = object.contains("status") && !object.contains("spec");
  Store(collection, name, std::move(next),
        status_only && objects_[collection].contains(name) ? "status" : "");
}

void FakeCluster::Remove(const std::string& collection, const std::string& name) {
  std::lock_guard lock(mu_);
  Drop(collection, name);
}

Json FakeCluster::Find(const std::string& collection, const std::string& name) {
  std::lock_guard lock(mu_);
  auto& in = objects_[collection];
  auto it = in.find(name);
  return it == in.end() ? Json() : it->second;
}

size_t FakeCluster::Count(const std::string& collection) {
  std::lock_guard lock(mu_);
  return objects_[collection].size();
}

std::vector<std::string> FakeCluster::requests() {
  std::lock_guard lock(mu_);
  return requests_;
}

}  // namespace tarn::kube
