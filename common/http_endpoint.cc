#include "common/http_endpoint.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace tarn {
namespace {

class Civet : public HttpEndpoint {
 public:
  explicit Civet(std::map<std::string, Handler> paths) : paths_(std::move(paths)) {}
  // civetweb looks at its stop flag only when a connection comes or two seconds have passed, so
  // connections are made until it has stopped.
  ~Civet() override {
    if (context_ == nullptr) return;
    const int bound = port();
    std::atomic<bool> stopped = false;
    std::thread stopper([&] {
      mg_stop(context_);
      stopped = true;
    });
    while (!stopped) {
      Knock(bound);
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    stopper.join();
  }

  Result<void> Listen(const std::string& listen) {
    listen_ = listen;
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
  void Knock(int bound) const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(bound));
    std::string host = listen_.substr(0, listen_.rfind(':'));
    if (inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1 || to.sin_addr.s_addr == INADDR_ANY) {
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
    close(fd);
  }

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
  std::string listen_;
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
