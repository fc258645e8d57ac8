// One run of tarnctl: the connection to a server, and where results go.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/result.h"
#include "common/tls/tls_dir.h"

namespace tarn::cli {

namespace pb = control::v1;

struct Settings {
  std::string server;  // empty: kDefaultServer
  std::string tls_dir;
  std::string output = "table";  // or json
  int timeout_seconds = 0;       // 0: what the operation usually needs
};

inline constexpr const char* kDefaultServer = "unix:/var/lib/tarn/data/control.sock";
inline constexpr int kTimeoutSeconds = 30;
inline constexpr int kFsckTimeoutSeconds = 3600;

class Session {
 public:
  Session(Settings settings, std::ostream& out, std::ostream& err)
      : settings_(std::move(settings)), out_(out), err_(err) {}

  bool json() const { return settings_.output == "json"; }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }

  // The user said which server.
  bool has_server() const { return !settings_.server.empty(); }
  // Before the first call: host:port, with these certificates.
  void UseServer(const std::string& server, const tls::TlsPems& pems);

  // Calls one operation, which needs `usual_seconds` at most; connects at the first one.
  template <typename Request, typename Response>
  Result<Response> Call(grpc::Status (pb::Control::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                        const Request& request, int usual_seconds = kTimeoutSeconds) {
    TRY(Connect());
    int seconds = settings_.timeout_seconds == 0 ? usual_seconds : settings_.timeout_seconds;
    Response response;
    TRY(rpcs::Call(*stub_, method, request, response, std::chrono::seconds{seconds}, server()));
    return response;
  }

  // Shows messages: as a JSON array, or through `table`.
  void Show(const std::vector<const google::protobuf::Message*>& messages,
            const std::function<void(std::ostream&)>& table);
  // Shows one: as a JSON object, or through `table`.
  void ShowOne(const google::protobuf::Message& message,
               const std::function<void(std::ostream&)>& table);

 private:
  Result<void> Connect();
  std::string server() const { return has_server() ? settings_.server : kDefaultServer; }

  Settings settings_;
  std::optional<tls::TlsPems> pems_;
  std::ostream& out_;
  std::ostream& err_;
  std::unique_ptr<pb::Control::Stub> stub_;
};

// All items of a paged list: `fetch` asks for the page after a token and returns the next token.
template <typename Fetch>
Result<void> ForEachPage(Fetch fetch) {
  std::string token;
  do {
    TRY(token, fetch(token));
  } while (!token.empty());
  return Ok();
}

// What an error means and what to do, in one line: "FileSystemInUse: … Fix: …".
std::string Explain(const Error& error);

}  // namespace tarn::cli
