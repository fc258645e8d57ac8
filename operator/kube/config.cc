#include "operator/kube/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/files.h"
#include "operator/kube/text.h"

namespace tarn::kube {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kTokenLifetime{60};
constexpr int kMaxYamlDepth = 32;

// Scalars stay strings: a kubeconfig has no field where that matters.
json FromYaml(yaml_document_t* document, int index, int depth) {
  yaml_node_t* node = yaml_document_get_node(document, index);
  if (node == nullptr || depth > kMaxYamlDepth) return nullptr;
  if (node->type == YAML_SCALAR_NODE) {
    return std::string(reinterpret_cast<const char*>(node->data.scalar.value),
                       node->data.scalar.length);
  }
  if (node->type == YAML_SEQUENCE_NODE) {
    json out = json::array();
    for (auto* i = node->data.sequence.items.start; i < node->data.sequence.items.top; ++i) {
      out.push_back(FromYaml(document, *i, depth + 1));
    }
    return out;
  }
  json out = json::object();
  for (auto* p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; ++p) {
    json key = FromYaml(document, p->key, depth + 1);
    if (key.is_string()) out[key.get<std::string>()] = FromYaml(document, p->value, depth + 1);
  }
  return out;
}

Result<json> ParseYaml(const std::string& path, const std::string& text) {
  yaml_parser_t parser;
  yaml_document_t document;
  if (yaml_parser_initialize(&parser) == 0) return Error(Code::kInternal, "no memory for YAML");
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()),
                               text.size());
  if (yaml_parser_load(&parser, &document) == 0) {
    Error error(Code::kInvalid, path + ": line " + std::to_string(parser.problem_mark.line + 1) +
                                    ": " + (parser.problem ? parser.problem : "not YAML"));
    yaml_parser_delete(&parser);
    return error;
  }
  json out = FromYaml(&document, 1, 0);
  yaml_document_delete(&document);
  yaml_parser_delete(&parser);
  return out;
}

Result<std::string> WriteSecret(const std::string& path, const std::string& base64) {
  TRY(std::string bytes, DecodeBase64(base64));
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return Error(Code::kIo, "cannot write " + path + ": set TMPDIR to a writable directory");
  bool ok = write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  ok = close(fd) == 0 && ok;
  if (!ok) return Error(Code::kIo, "cannot write " + path);
  return path;
}

// The entry called `name` of one of kubeconfig's three lists, its inner object.
Result<json> Entry(const json& config, const char* list, const char* inner,
                   const std::string& name) {
  for (const json& item : Array(config, list)) {
    if (Str(item, "name") == name) return Object(item, inner);
  }
  return Error(Code::kInvalid,
               std::string("kubeconfig: no entry named \"") + name + "\" in " + list);
}

// `key` names a file, `key`-data holds the bytes.
Result<std::string> FileOf(const json& object, const std::string& key, const std::string& scratch) {
  std::string data = Str(object, key + "-data");
  if (data.empty()) return Str(object, key);
  return WriteSecret(scratch + "/tarn-kube-" + std::to_string(getpid()) + "-" + key, data);
}

}  // namespace

Result<ClusterConfig> InClusterConfig(const std::string& directory) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return Error(Code::kInvalid,
                 "KUBERNETES_SERVICE_HOST is not set: not in a pod; give --kubeconfig");
  }
  ClusterConfig config;
  // The HTTP library cannot resolve a bracketed IPv6 literal; the API server's certificate carries
  // this name too.
  std::string name =
      std::string(host).find(':') == std::string::npos ? host : "kubernetes.default.svc";
  config.server = "https://" + name + ":" + port;
  config.ca_file = directory + "/ca.crt";
  config.token_file = directory + "/token";
  if (access(config.token_file.c_str(), R_OK) != 0) {
    return Error(Code::kInvalid,
                 config.token_file + " cannot be read: mount a service account token");
  }
  return config;
}

Result<ClusterConfig> LoadKubeconfig(const std::string& path, const std::string& scratch_dir) {
  TRY(std::string text, ReadSmallFile(path));
  TRY(json config, ParseYaml(path, text));
  TRY(json context, Entry(config, "contexts", "context", Str(config, "current-context")));
  TRY(json cluster, Entry(config, "clusters", "cluster", Str(context, "cluster")));
  TRY(json user, Entry(config, "users", "user", Str(context, "user")));
  if (user.contains("exec") || user.contains("auth-provider")) {
    return Error(
        Code::kNotSupported,
        path + ": users[].user.exec is not supported: use a token or a client certificate");
  }
  ClusterConfig out;
  out.server = Str(cluster, "server");
  while (out.server.ends_with('/')) out.server.pop_back();
  if (out.server.empty())
    return Error(Code::kInvalid, path + ": clusters[].cluster.server is empty");
  TRY(out.ca_file, FileOf(cluster, "certificate-authority", scratch_dir));
  TRY(out.cert_file, FileOf(user, "client-certificate", scratch_dir));
  TRY(out.key_file, FileOf(user, "client-key", scratch_dir));
  out.token = Str(user, "token");
  out.token_file = Str(user, "tokenFile");
  return out;
}

std::string TokenSource::Get() {
  std::lock_guard lock(mu_);
  auto now = std::chrono::steady_clock::now();
  if (file_.empty() ||
      (read_at_.time_since_epoch().count() != 0 && now - read_at_ < kTokenLifetime)) {
    return token_;
  }
  // An unreadable file keeps the old token: kubelet swaps the file, and a moment without one is no
  // reason to fail.
  if (auto text = ReadSmallFile(file_); text.ok()) {
    token_ = *text;
    while (!token_.empty() && (token_.back() == '\n' || token_.back() == ' ')) token_.pop_back();
    read_at_ = now;
  }
  return token_;
}

void TokenSource::Invalidate() {
  std::lock_guard lock(mu_);
  read_at_ = {};
}

}  // namespace tarn::kube
