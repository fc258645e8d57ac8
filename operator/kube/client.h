// Client: typed paths and verbs of the Kubernetes API over an HttpTransport. Objects are JSON as
// the API has them.
//
// Thread-safe; calls block. Errors: kNotFound (404), kAlreadyExists (409 of a create), kAborted
// (409 else: read again and retry), kStale (410: the resourceVersion is gone), kInvalid (400, 422:
// the message says which field), kDenied (401, 403), kUnavailable (429, 5xx, network).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>

#include "common/result.h"
#include "operator/kube/transport.h"

namespace tarn::kube {

using Json = nlohmann::json;

struct ResourceType {
  std::string group;  // "" for core
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = true;
  std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
};

inline constexpr std::string_view kFieldManager = "tarn-operator";

struct ObjectName {
  std::string ns;  // "" for cluster-scoped
  std::string name;
  std::string Key() const { return ns.empty() ? name : ns + "/" + name; }
  auto operator<=>(const ObjectName&) const = default;
};

// Namespace and name of an object.
ObjectName NameOf(const Json& object);

struct ListOptions {
  std::string ns;              // "": all namespaces
  std::string label_selector;  // not escaped
};

struct WatchEvent {
  std::string type;  // ADDED, MODIFIED, DELETED, BOOKMARK
  Json object;
};

class Client {
 public:
  // `transport` must outlive the client.
  explicit Client(HttpTransport& transport) : transport_(transport) {}

  Result<Json> Get(const ResourceType& type, const ObjectName& name);
  // All pages as one list object; `metadata.resourceVersion` is where a watch goes on.
  // `any_version`: the API server may answer from its cache (resourceVersion=0).
  Result<Json> List(const ResourceType& type, const ListOptions& options, bool any_version);
  // Each object in turn, of which only a page is in memory; as it is now. An error of `visit` ends
  // it and is the result.
  Result<void> Each(const ResourceType& type, const ListOptions& options,
                    const std::function<Result<void>(Json& object)>& visit);
  Result<Json> Create(const ResourceType& type, const Json& object);
  // PUT with the object's own resourceVersion.
  Result<Json> Update(const ResourceType& type, const Json& object);
  // Server-side apply with force: `object` holds only the fields we own.
  Result<Json> Apply(const ResourceType& type, const Json& object);
  Result<Json> ApplyStatus(const ResourceType& type, const Json& object);
  // RFC 7386 merge patch. With metadata.resourceVersion in it, only on that version (else
  // kAborted).
  Result<Json> MergePatch(const ResourceType& type, const ObjectName& name, const Json& patch);
  // An object that is not there is no error.
  Result<void> Delete(const ResourceType& type, const ObjectName& name);

  // A document that is no resource, such as /openid/v1/jwks.
  Result<Json> GetDocument(const std::string& path);

  // Watches from `resource_version` until the stream ends (OK), breaks or is stopped. `on_event`
  // must not block.
  Result<void> Watch(const ResourceType& type, const ListOptions& options,
                     const std::string& resource_version, std::chrono::seconds timeout,
                     const std::function<void(WatchEvent)>& on_event, std::stop_token stop);

 private:
  Result<Json> Call(const HttpRequest& request);
  // The page behind `next`, which becomes what is behind this one; empty: there is no more.
  Result<Json> Page(const ResourceType& type, const ListOptions& options, bool any_version,
                    std::string& next);
  Result<Json> ApplyTo(const ResourceType& type, const Json& object,
                       const std::string& subresource);
  HttpTransport& transport_;
};

}  // namespace tarn::kube
