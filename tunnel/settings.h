// What a mount was told by OpenMount, checked and ready for connections. Values; immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/tls/tls_context.h"

namespace tarn::tunnel::v1 {
class OpenMountRequest;
}

namespace tarn::tunnel {

struct ServerAddress {
  std::string host;  // a name or a numeric address, without brackets
  std::string port;
  std::string text;  // as it was given
};

struct Settings {
  std::vector<ServerAddress> servers;
  std::string server_name;
  tls::Context context;  // shared by all mounts of one authority
  std::shared_ptr<const tls::CertificateAndKey> certificate;  // null: none
  int64_t certificate_not_after = 0;  // seconds since 1970; 0: there is none
  std::string digest;                 // the same for the same request only
};

// A connection's object, without a transport; null: there is no memory.
tls::Owned<SSL> NewConnection(const Settings& settings);

bool IsMountId(std::string_view text);

// kInvalid names the field and the fix.
Result<std::shared_ptr<const Settings>> CheckSettings(const v1::OpenMountRequest& request);

}  // namespace tarn::tunnel
