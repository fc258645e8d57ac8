// One HTTP request over libcurl, with a deadline and a way to stop it. No redirects, no proxies,
// no cookies; HTTPS checks the server's certificate and name always.
//
// Threads: any; each request is a connection of its own.
#pragma once

#include <string>
#include <vector>

#include "server/keys/provider.h"

namespace tarn::keys {

inline constexpr size_t kHttpAnswerBytesMax = 256 << 10;

struct HttpRequest {
  std::string url;
  std::string ca_file;               // empty: the system's
  std::vector<SecretBytes> headers;  // "Name: value"
  SecretBytes body;                  // empty: a GET, else a POST of JSON
};

struct HttpAnswer {
  long status = 0;
  SecretBytes body;
};

// kUnavailable: no answer (the message says why); kAborted: stopped.
Result<HttpAnswer> AskHttp(const HttpRequest& request, const Call& call);

}  // namespace tarn::keys
