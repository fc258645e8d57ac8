#include "operator/kube/client.h"

#include "operator/kube/line_splitter.h"
#include "operator/kube/text.h"

namespace tarn::kube {
namespace {

constexpr int kPageSize = 500;
constexpr int kMaxPages = 1000;
// A watch that says nothing for longer than it was asked to live is a dead connection.
constexpr std::chrono::seconds kWatchGrace{30};

std::string PathOf(const ResourceType& type, const std::string& ns, const std::string& name = {},
                   const std::string& subresource = {}) {
  std::string path = type.group.empty() ? "/api/" : "/apis/" + EscapeUrl(type.group) + "/";
  path += type.version;
  if (type.namespaced && !ns.empty()) path += "/namespaces/" + EscapeUrl(ns);
  path += "/" + type.plural;
  if (!name.empty()) path += "/" + EscapeUrl(name);
  if (!subresource.empty()) path += "/" + subresource;
  return path;
}

Error FromStatus(int http_status, const Json& status, const std::string& what) {
  std::string message = Str(status, "message");
  if (message.empty()) message = what + ": HTTP status " + std::to_string(http_status);
  std::string reason = Str(status, "reason");
  Code code = Code::kInternal;
  switch (http_status) {
    case 404:
      code = Code::kNotFound;
      break;
    case 409:
      code = reason == "AlreadyExists" ? Code::kAlreadyExists : Code::kAborted;
      break;
    case 410:
      code = Code::kStale;
      break;
    case 400:
    case 422:
      code = Code::kInvalid;
      break;
    case 401:
    case 403:
      code = Code::kDenied;
      break;
    default:
      code = http_status == 429 || http_status >= 500 ? Code::kUnavailable : Code::kInternal;
  }
  return Error(code, message);
}

std::string Selector(const ListOptions& options) {
  return options.label_selector.empty() ? ""
                                        : "&labelSelector=" + EscapeUrl(options.label_selector);
}

}  // namespace

ObjectName NameOf(const Json& object) {
  const Json& metadata = Object(object, "metadata");
  return {Str(metadata, "namespace"), Str(metadata, "name")};
}

Result<Json> Client::Call(const HttpRequest& request) {
  TRY(HttpResponse response, transport_.Do(request));
  auto body = ParseJson(response.body);
  if (response.status < 200 || response.status >= 300) {
    return FromStatus(response.status, body.ok() ? *body : Json(),
                      request.method + " " + request.target);
  }
  if (!body.ok()) return Error(Code::kUnavailable, request.target + ": the answer is not JSON");
  return body;
}

Result<Json> Client::GetDocument(const std::string& path) {
  return Call({.target = path, .content_type = {}, .body = {}});
}

Result<Json> Client::Get(const ResourceType& type, const ObjectName& name) {
  return Call({.target = PathOf(type, name.ns, name.name), .content_type = {}, .body = {}});
}

Result<Json> Client::Page(const ResourceType& type, const ListOptions& options, bool any_version,
                          std::string& next) {
  std::string target =
      PathOf(type, options.ns) + "?limit=" + std::to_string(kPageSize) + Selector(options);
  if (!next.empty()) {
    target += "&continue=" + EscapeUrl(next);
  } else if (any_version) {
    target += "&resourceVersion=0";
  }
  TRY(Json list, Call({.target = target, .content_type = {}, .body = {}}));
  next = Str(Object(list, "metadata"), "continue");
  return list;
}

Result<Json> Client::List(const ResourceType& type, const ListOptions& options, bool any_version) {
  Json all;
  std::string next;
  for (int page = 0; page < kMaxPages; ++page) {
    TRY(Json list, Page(type, options, any_version, next));
    if (all.is_null()) {
      all = std::move(list);
      if (!all["items"].is_array()) all["items"] = Json::array();
    } else {
      for (Json& item : list["items"]) all["items"].push_back(std::move(item));
      all["metadata"] = list["metadata"];
    }
    if (next.empty()) return all;
  }
  return Error(Code::kLimitExceeded, type.plural + ": more than 500000 objects");
}

Result<void> Client::Each(const ResourceType& type, const ListOptions& options,
                          const std::function<Result<void>(Json& object)>& visit) {
  std::string next;
  do {
    // Not any version: of its cache the API server gives all at once.
    TRY(Json list, Page(type, options, false, next));
    if (!list["items"].is_array()) continue;
    for (Json& item : list["items"]) TRY(visit(item));
  } while (!next.empty());
  return Ok();
}

Result<Json> Client::Create(const ResourceType& type, const Json& object) {
  return Call(
      {.method = "POST",
       .target = PathOf(type, NameOf(object).ns) + "?fieldManager=" + std::string(kFieldManager),
       .content_type = "application/json",
       .body = object.dump()});
}

Result<Json> Client::Update(const ResourceType& type, const Json& object) {
  ObjectName name = NameOf(object);
  return Call(
      {.method = "PUT",
       .target = PathOf(type, name.ns, name.name) + "?fieldManager=" + std::string(kFieldManager),
       .content_type = "application/json",
       .body = object.dump()});
}

Result<Json> Client::ApplyTo(const ResourceType& type, const Json& object, const std::string& sub) {
  ObjectName name = NameOf(object);
  Json body = object;
  body["apiVersion"] = type.ApiVersion();
  body["kind"] = type.kind;
  std::string manager = std::string(kFieldManager) + (sub.empty() ? "" : "-" + sub);
  return Call(
      {.method = "PATCH",
       .target = PathOf(type, name.ns, name.name, sub) + "?force=true&fieldManager=" + manager,
       .content_type = "application/apply-patch+yaml",
       .body = body.dump()});
}

Result<Json> Client::Apply(const ResourceType& type, const Json& object) {
  return ApplyTo(type, object, "");
}

Result<Json> Client::ApplyStatus(const ResourceType& type, const Json& object) {
  return ApplyTo(type, object, "status");
}

Result<Json> Client::MergePatch(const ResourceType& type, const ObjectName& name,
                                const Json& patch) {
  return Call(
      {.method = "PATCH",
       .target = PathOf(type, name.ns, name.name) + "?fieldManager=" + std::string(kFieldManager),
       .content_type = "application/merge-patch+json",
       .body = patch.dump()});
}

Result<void> Client::Delete(const ResourceType& type, const ObjectName& name) {
  auto answer = Call({.method = "DELETE",
                      .target = PathOf(type, name.ns, name.name),
                      .content_type = {},
                      .body = {}});
  if (!answer.ok() && answer.code() != Code::kNotFound) return answer.error();
  return Ok();
}

Result<void> Client::Watch(const ResourceType& type, const ListOptions& options,
                           const std::string& resource_version, std::chrono::seconds timeout,
                           const std::function<void(WatchEvent)>& on_event, std::stop_token stop) {
  Result<void> failure = Ok();
  LineSplitter lines([&](std::string_view line) {
    if (!failure.ok()) return;
    auto event = ParseJson(line);
    if (!event.ok()) {
      failure = Error(Code::kUnavailable, "watch of " + type.plural + ": a line is not JSON");
      return;
    }
    std::string event_type = Str(*event, "type");
    if (event_type == "ERROR") {
      const Json& status = Object(*event, "object");
      failure =
          FromStatus(static_cast<int>(Int(status, "code", 500)), status, "watch of " + type.plural);
    } else if (!event_type.empty()) {
      on_event({event_type, std::move((*event)["object"])});
    }  // else: the Status body of a refused request, told from its HTTP status below
  });
  HttpRequest request{.target = PathOf(type, options.ns) + "?watch=true&allowWatchBookmarks=true" +
                                "&resourceVersion=" + EscapeUrl(resource_version) +
                                "&timeoutSeconds=" + std::to_string(timeout.count()) +
                                Selector(options),
                      .content_type = {},
                      .body = {},
                      .idle_timeout = timeout + kWatchGrace};
  auto response = transport_.Stream(
      request, [&](std::string_view bytes) { return lines.Put(bytes) && failure.ok(); },
      std::move(stop));
  TRY(std::move(failure));
  if (!response.ok()) return response.error();
  if (response->status != 200)
    return FromStatus(response->status, Json(), "watch of " + type.plural);
  if (!lines.rest().empty()) {
    return Error(Code::kUnavailable, "watch of " + type.plural + ": ended within a line");
  }
  return Ok();
}

}  // namespace tarn::kube
