#include "cli/session.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

namespace tarn::cli {
namespace {

std::string Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// The command that helps, by EFS's name of the error; "" when the message says it all.
std::string Fix(const Error& error) {
  std::string_view name = error.api_name();
  std::string id(error.resource_id());
  if (name == "FileSystemInUse") return "tarnctl mt delete " + id;
  if (name == "FileSystemNotFound") return "tarnctl fs list shows those that are there";
  if (name == "AccessPointNotFound") return "tarnctl ap list shows those that are there";
  if (name == "MountTargetNotFound") return "tarnctl mt list shows those that are there";
  if (name == "PolicyNotFound") return "tarnctl policy put " + id + " --file FILE sets one";
  if (name == "FileSystemAlreadyExists") return "tarnctl fs show " + id;
  if (name == "AccessPointAlreadyExists") return "tarnctl ap show " + id;
  if (name == "MountTargetConflict" && id.starts_with("fsmt-")) return "tarnctl mt show " + id;
  if (name == "ConflictException") return "tarnctl ap show " + id;
  if (name.empty() && error.code() == Code::kUnavailable) {
    return "is tarn-server running? --server names its control socket or host:port";
  }
  if (name.empty() && error.code() == Code::kDeadlineExceeded) return "--timeout gives it longer";
  return "";
}

}  // namespace

void Session::UseServer(const std::string& server, const tls::TlsPems& pems) {
  settings_.server = server;
  pems_ = pems;
}

Result<void> Session::Connect() {
  if (stub_) return Ok();
  auto channel =
      pems_ ? rpcs::OpenChannel(server(), *pems_) : rpcs::OpenChannel(server(), settings_.tls_dir);
  if (!channel.ok()) {
    const std::string& message = channel.error().message();
    bool tls = message.find("TLS") != std::string::npos;
    return Error(channel.code(), (tls ? "--tls-dir: " : "--server: ") + message);
  }
  stub_ = pb::Control::NewStub(*channel);
  return Ok();
}

void Session::Show(const std::vector<const google::protobuf::Message*>& messages,
                   const std::function<void(std::ostream&)>& table) {
  if (!json()) return table(out_);
  out_ << "[";
  for (size_t i = 0; i < messages.size(); ++i) out_ << (i == 0 ? "" : ",\n") << Json(*messages[i]);
  out_ << "]\n";
}

void Session::ShowOne(const google::protobuf::Message& message,
                      const std::function<void(std::ostream&)>& table) {
  if (!json()) return table(out_);
  out_ << Json(message) << "\n";
}

std::string Explain(const Error& error) {
  std::string line(error.api_name().empty() ? CodeName(error.code()) : error.api_name());
  line += ": " + (error.message().empty() ? "no more is known" : error.message());
  // One line, whatever a server says.
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::string fix = Fix(error);
  if (!fix.empty()) line += (line.ends_with('.') ? " Fix: " : ". Fix: ") + fix;
  return line;
}

}  // namespace tarn::cli
