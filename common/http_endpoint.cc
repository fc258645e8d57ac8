#include "common/http_endpoint.h"

#include <civetweb.h>

namespace tarn {
namespace {

class Civet : public HttpEndpoint {
 public:
  explicit Civet(std::map<std::string, Handler> paths) : paths_(std::move(paths)) {}
  ~Civet() override {
    if (context_ != nullptr) mg_stop(context_);
  }

  Result<void> Listen(const std::string& listen) {
    const char* options[] = {"listening_ports",    listen.c_str(), "num_threads", "2",
                             "request_timeout_ms", "5000",         nullptr};
    context_ = mg_start(nullptr, nullptr, options);
    if (context_ == nullptr) {
      return Error(Code::kUnavailable, "cannot listen for HTTP on '" + listen + "'");
    }
    for (auto& [path, handler] : paths_) {
      mg_set_request_handler(context_, path.c_str(), &Civet::Answer, &handler);
    }
    return Ok();
  }

  int port() const override {
    mg_server_port bound{};
    return mg_get_server_ports(context_, 1, &bound) == 1 ? bound.port : 0;
  }

 private:
  static int Answer(mg_connection* connection, void* handler) {
    Response response = (*static_cast<Handler*>(handler))();
    mg_printf(connection,
              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
              "Connection: close\r\n\r\n",
              response.status, mg_get_response_code_text(connection, response.status),
              response.content_type.c_str(), response.body.size());
    mg_write(connection, response.body.data(), response.body.size());
    return response.status;
  }

  std::map<std::string, Handler> paths_;
  mg_context* context_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(const std::string& listen,
                                                          std::map<std::string, Handler> paths) {
  auto endpoint = std::make_unique<Civet>(std::move(paths));
  TRY(endpoint->Listen(listen));
  return std::unique_ptr<HttpEndpoint>(std::move(endpoint));
}

}  // namespace tarn
