// Where the API server is and who we are to it.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "common/result.h"

namespace tarn::kube {

struct ClusterConfig {
  std::string server;     // "https://host:port"
  std::string ca_file;    // PEM; empty: only for http://
  std::string cert_file;  // client certificate, PEM; may be empty
  std::string key_file;
  std::string token_file;  // re-read every minute and after a 401
  std::string token;       // used when token_file is empty
};

// From the service account that kubelet mounts into every pod. `directory` ends without a slash.
Result<ClusterConfig> InClusterConfig(
    const std::string& directory = "/var/run/secrets/kubernetes.io/serviceaccount");

// From the current context of a kubeconfig (YAML or JSON). Inline certificate data is written to
// files only the user can read, under `scratch_dir`, because the TLS library loads files. Exec and
// auth-provider plugins: kNotSupported.
Result<ClusterConfig> LoadKubeconfig(const std::string& path, const std::string& scratch_dir);

// The bearer token, re-read from its file as the cluster rotates it. Thread-safe.
class TokenSource {
 public:
  explicit TokenSource(const ClusterConfig& config)
      : file_(config.token_file), token_(config.token) {}
  // Empty: no token is sent.
  std::string Get();
  // The server refused the token: the next Get reads the file.
  void Invalidate();

 private:
  std::mutex mu_;
  std::string file_;
  std::string token_;
  std::chrono::steady_clock::time_point read_at_{};
};

}  // namespace tarn::kube
