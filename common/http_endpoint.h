// HttpEndpoint: a small HTTP server for health, readiness and metrics (not for outsiders' data), on
// civetweb.
//
// Threads: handlers run on the endpoint's own threads, several at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/result.h"

namespace tarn {

class HttpEndpoint {
 public:
  struct Response {
    int status = 200;
    std::string body = "ok\n";
    std::string content_type = "text/plain; charset=utf-8";
  };
  using Handler = std::function<Response()>;

  // `listen` is "address:port" (port 0: the system's choice); `paths` maps "/healthz" and so on to
  // handlers; all else is 404. kUnavailable: the address cannot be listened on.
  static Result<std::unique_ptr<HttpEndpoint>> Start(const std::string& listen,
                                                     std::map<std::string, Handler> paths);
  virtual ~HttpEndpoint() = default;
  virtual int port() const = 0;
};

}  // namespace tarn
