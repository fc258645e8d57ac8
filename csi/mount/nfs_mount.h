// A mount by the kernel's NFS client, by mount(2) alone: no mount.nfs and no rpcbind are needed.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::csi {

struct HostPort {
  std::string host;  // without brackets
  int port = 2049;
};

// "10.0.0.1:2049", "[fd00::1]:2049", "name:2049"; without a port it is 2049. kInvalid otherwise.
Result<HostPort> SplitHostPort(const std::string& text);
// Back again, with brackets where needed.
std::string JoinHostPort(const HostPort& at);

// Blocks for as long as the server does not answer: only for a helper process. `options` as in
// mount_options.h. kNotSupported: this kernel has no NFS client.
Result<void> NfsMount(const std::string& server, const std::string& export_path,
                      const std::string& target, const std::vector<std::string>& options);

}  // namespace tarn::csi
