// HttpTransport: the one way this program speaks HTTP to the API server, so that no other file
// knows the HTTP library and tests can put an API server of their own behind it.
//
// Thread rule: any thread of ours may call; calls block. Errors: kUnavailable for anything that
// happened on the way (no connection, a cut stream, a timeout); an HTTP status is no error here.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/result.h"

namespace tarn::kube {

// A response body above this is refused (kUnavailable): a page of a list is far below it.
inline constexpr size_t kMaxResponseBytes = 64u << 20;

struct HttpRequest {
  std::string method = "GET";
  std::string target;        // path and query, already escaped
  std::string content_type;  // empty: no body
  std::string body;
  std::chrono::seconds idle_timeout{30};  // silence for longer than this ends the request
};

struct HttpResponse {
  int status = 0;
  std::chrono::seconds retry_after{0};
  std::string body;  // empty from Stream
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;

  virtual Result<HttpResponse> Do(const HttpRequest& request) = 0;

  // Gives every piece of the body to `on_bytes` as it arrives and returns when the body has ended.
  // `on_bytes` must not block and must not call this transport; it returns false to end the stream.
  // `stop` ends it at once.
  virtual Result<HttpResponse> Stream(const HttpRequest& request,
                                      const std::function<bool(std::string_view)>& on_bytes,
                                      std::stop_token stop) = 0;
};

}  // namespace tarn::kube
