#include "server/keys/http.h"

#include <curl/curl.h>

#include <array>
#include <cstring>
#include <mutex>

namespace tarn::keys {
namespace {

// How often libcurl asks whether to go on, at most, while nothing arrives: it does so each second
// of itself, too long for a server that stops.
constexpr int kPollMilliseconds = 100;

struct Collected {
  SecretBytes bytes;
  size_t used = 0;
};

size_t Collect(char* data, size_t /*one*/, size_t size, void* user) {
  auto& to = *static_cast<Collected*>(user);
  if (to.used + size > kHttpAnswerBytesMax) return 0;
  if (to.used + size > to.bytes.size()) {
    SecretBytes larger(std::max<size_t>(4096, 2 * (to.used + size)));
    if (to.used > 0) std::memcpy(larger.bytes().data(), to.bytes.bytes().data(), to.used);
    to.bytes = std::move(larger);
  }
  std::memcpy(to.bytes.bytes().data() + to.used, data, size);
  to.used += size;
  return size;
}

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// A list of headers whose bytes are wiped; libcurl's own would be copies.
class Headers {
 public:
  explicit Headers(const std::vector<SecretBytes>& headers) {
    lines_.reserve(headers.size());
    nodes_.resize(headers.size());
    for (size_t i = 0; i < headers.size(); ++i) {
      SecretBytes line(headers[i].size() + 1);  // ends with a NUL
      std::memcpy(line.bytes().data(), headers[i].bytes().data(), headers[i].size());
      lines_.push_back(std::move(line));
      nodes_[i].data = reinterpret_cast<char*>(lines_[i].bytes().data());
      nodes_[i].next = i + 1 < headers.size() ? &nodes_[i + 1] : nullptr;
    }
  }
  curl_slist* list() { return nodes_.empty() ? nullptr : nodes_.data(); }

 private:
  std::vector<SecretBytes> lines_;
  std::vector<curl_slist> nodes_;
};

void SetOptions(CURL* easy, const HttpRequest& request, const Call& call, char* error) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  // One request a connection needs no HTTP/2, and libcurl 7.88 takes a stream of it that the server
  // ended before it had read the whole request for an error.
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
  if (!request.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.view().data());
  }
}

// Runs it to its end, or until it is stopped.
Result<void> Run(CURLM* multi, const Call& call, const char* error) {
  int running = 1;
  while (running > 0) {
    if (call.stop.stop_requested()) return Error(Code::kAborted, "stopped");
    if (curl_multi_perform(multi, &running) != CURLM_OK) {
      return Error(Code::kUnavailable, "libcurl failed");
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
  }
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi, &left);
  if (message == nullptr) return Error(Code::kUnavailable, "libcurl has no answer");
  if (message->data.result != CURLE_OK) {
    return Error(Code::kUnavailable,
                 *error != 0 ? error : curl_easy_strerror(message->data.result));
  }
  return Ok();
}

}  // namespace

Result<HttpAnswer> AskHttp(const HttpRequest& request, const Call& call) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  std::unique_ptr<CURLM, MultiDeleter> multi(curl_multi_init());
  std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (!multi || !easy) return Error(Code::kUnavailable, "libcurl cannot start");
  std::array<char, CURL_ERROR_SIZE> error{};
  SetOptions(easy.get(), request, call, error.data());
  Headers headers(request.headers);
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.list());
  Collected collected;
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, Collect);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &collected);
  curl_multi_add_handle(multi.get(), easy.get());
  auto done = Run(multi.get(), call, error.data());
  HttpAnswer answer;
  if (done.ok()) curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  curl_multi_remove_handle(multi.get(), easy.get());
  TRY(std::move(done));
  answer.body = SecretBytes(collected.bytes.view().substr(0, collected.used));
  return answer;
}

}  // namespace tarn::keys
