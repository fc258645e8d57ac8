#include "operator/kube/cpprest_transport.h"

// The library would define a macro named U.
#define _TURN_OFF_PLATFORM_STRING  // NOLINT(bugprone-reserved-identifier)
#include <cpprest/http_client.h>
#include <pplx/threadpool.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <stop_token>

namespace tarn::kube {
namespace {

namespace http = web::http;
using Byte = uint8_t;

constexpr size_t kPoolThreads = 4;

// Shared by the caller, who waits, and the library's thread, which delivers: a cancelled request
// may still deliver after the caller has gone, so the callback is taken away under the lock.
class Receiver {
 public:
  explicit Receiver(std::function<bool(std::string_view)> on_bytes)
      : on_bytes_(std::move(on_bytes)) {}
  bool Put(std::string_view bytes) {
    std::lock_guard lock(mu_);
    if (!on_bytes_) return false;
    if (!on_bytes_(bytes)) on_bytes_ = nullptr;
    return on_bytes_ != nullptr;
  }
  void Detach() {
    std::lock_guard lock(mu_);
    on_bytes_ = nullptr;
  }

 private:
  std::mutex mu_;
  std::function<bool(std::string_view)> on_bytes_;
};

// A write-only stream buffer that hands every piece on at once; the library's own buffers either
// keep everything or grow without limit.
class Sink : public concurrency::streams::details::streambuf_state_manager<Byte> {
 public:
  explicit Sink(std::shared_ptr<Receiver> receiver)
      : streambuf_state_manager(std::ios_base::out), receiver_(std::move(receiver)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return written_; }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return static_cast<pos_type>(-1); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return static_cast<pos_type>(-1);
  }
  bool acquire(Byte*& ptr, size_t& count) override {
    ptr = nullptr;
    count = 0;
    return false;
  }
  void release(Byte*, size_t) override {}

 protected:
  pplx::task<int_type> _putc(Byte ch) override {
    bool ok = Deliver(&ch, 1);
    return pplx::task_from_result<int_type>(ok ? ch : traits::eof());
  }
  pplx::task<size_t> _putn(const Byte* ptr, size_t count) override {
    return pplx::task_from_result<size_t>(Deliver(ptr, count) ? count : 0);
  }
  pplx::task<int_type> _bumpc() override { return Eof(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return Eof(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return Eof(); }
  pplx::task<int_type> _ungetc() override { return Eof(); }
  pplx::task<size_t> _getn(Byte*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(Byte*, size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  Byte* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}

 private:
  static pplx::task<int_type> Eof() { return pplx::task_from_result<int_type>(traits::eof()); }
  bool Deliver(const Byte* ptr, size_t count) {
    written_ += static_cast<off_type>(count);
    return receiver_->Put({reinterpret_cast<const char*>(ptr), count});
  }
  std::shared_ptr<Receiver> receiver_;
  off_type written_ = 0;
};

http::client::http_client_config MakeConfig(const ClusterConfig& cluster,
                                            std::chrono::seconds idle) {
  http::client::http_client_config config;
  config.set_timeout(idle);
  config.set_max_redirects(0);
  config.set_nativehandle_options([](http::client::native_handle) {});
  config.set_ssl_context_callback([cluster](boost::asio::ssl::context& context) {
    boost::system::error_code ignored;
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    if (!cluster.ca_file.empty()) context.load_verify_file(cluster.ca_file, ignored);
    if (ignored) spdlog::error("cannot load {}: {}", cluster.ca_file, ignored.message());
    if (!cluster.cert_file.empty()) {
      context.use_certificate_chain_file(cluster.cert_file, ignored);
      if (ignored) spdlog::error("cannot load {}: {}", cluster.cert_file, ignored.message());
      context.use_private_key_file(cluster.key_file, boost::asio::ssl::context::pem, ignored);
      if (ignored) spdlog::error("cannot load {}: {}", cluster.key_file, ignored.message());
    }
  });
  return config;
}

class CpprestTransport : public HttpTransport {
 public:
  explicit CpprestTransport(const ClusterConfig& config)
      : config_(config),
        tokens_(config),
        client_(config.server, MakeConfig(config, std::chrono::seconds(30))) {}

  Result<HttpResponse> Do(const HttpRequest& request) override {
    // A kept-alive connection that the server has closed meanwhile shows as an error of the first
    // write: try again, but never a POST, which may have been carried out.
    int attempts = request.method == "POST" ? 1 : 2;
    for (;;) {
      std::string body;
      auto collect = [&body](std::string_view bytes) {
        body.append(bytes);
        return body.size() <= kMaxResponseBytes;
      };
      auto response = Send(client_, request, collect, {});
      if (!response.ok() && --attempts > 0) continue;
      if (response.ok()) response->body = std::move(body);
      return response;
    }
  }

  Result<HttpResponse> Stream(const HttpRequest& request,
                              const std::function<bool(std::string_view)>& on_bytes,
                              std::stop_token stop) override {
    try {
      // A stream has a client of its own: the library's timeout belongs to the client, and a quiet
      // watch is no fault.
      http::client::http_client client(config_.server, MakeConfig(config_, request.idle_timeout));
      return Send(client, request, on_bytes, std::move(stop));
    } catch (const std::exception& e) {
      return Error(Code::kUnavailable, e.what());
    }
  }

 private:
  Result<HttpResponse> Send(http::client::http_client& client, const HttpRequest& request,
                            const std::function<bool(std::string_view)>& on_bytes,
                            const std::stop_token& stop) {
    pplx::cancellation_token_source cancel;
    // A sink that takes nothing more does not end the request by itself: cancelling does.
    auto receiver = std::make_shared<Receiver>([&on_bytes, cancel](std::string_view bytes) {
      if (on_bytes(bytes)) return true;
      cancel.cancel();
      return false;
    });
    std::stop_callback on_stop(stop, [&cancel] { cancel.cancel(); });
    try {
      http::http_request message(request.method);
      message.set_request_uri(web::uri(request.target));
      // What is no resource may have a media type of its own, such as application/jwk-set+json.
      message.headers().add("Accept", "application/json, */*;q=0.5");
      if (std::string token = tokens_.Get(); !token.empty()) {
        message.headers().add("Authorization", "Bearer " + token);
      }
      if (!request.content_type.empty()) message.set_body(request.body, request.content_type);
      message.set_response_stream(
          concurrency::streams::streambuf<Byte>(std::make_shared<Sink>(receiver)).create_ostream());
      http::http_response response = client.request(message, cancel.get_token()).get();
      response.content_ready().wait();
      receiver->Detach();
      return Describe(response);
    } catch (const std::exception& e) {
      receiver->Detach();
      return Error(Code::kUnavailable, request.method + " " + request.target + ": " + e.what());
    }
  }

  HttpResponse Describe(const http::http_response& response) {
    HttpResponse out;
    out.status = response.status_code();
    if (out.status == 401) tokens_.Invalidate();
    auto header = response.headers().find("Retry-After");
    if (header != response.headers().end()) {
      int64_t seconds = 0;
      std::from_chars(header->second.data(), header->second.data() + header->second.size(),
                      seconds);
      out.retry_after = std::chrono::seconds(seconds);
    }
    return out;
  }

  ClusterConfig config_;
  TokenSource tokens_;
  http::client::http_client client_;
};

}  // namespace

void PrepareProcess(const ClusterConfig& config) {
  if (!config.ca_file.empty()) {
    setenv("SSL_CERT_FILE", config.ca_file.c_str(), 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
  }
  static std::atomic<bool> done{false};
  if (!done.exchange(true)) crossplat::threadpool::initialize_with_threads(kPoolThreads);
}

Result<std::unique_ptr<HttpTransport>> NewCpprestTransport(const ClusterConfig& config) {
  try {
    return std::unique_ptr<HttpTransport>(std::make_unique<CpprestTransport>(config));
  } catch (const std::exception& e) {
    return Error(Code::kInvalid, "API server address \"" + config.server + "\": " + e.what());
  }
}

}  // namespace tarn::kube
