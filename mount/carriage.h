// Carriage: one mount of the node's tunnel, which carries all mounts that are made of the same
// parts: file system, access point, identity, way to the server. The parts are names and paths, no
// secrets, so they can be stored, and be put together again with newer tokens and keys.
#pragma once

#include <chrono>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "csi/tunnel/tunnel.h"
#include "mount/config.h"
#include "mount/device.h"
#include "mount/identity.h"
#include "mount/options.h"

namespace tarn::mount {

struct Carriage {
  std::string file_system_id;
  std::string access_point_id;  // may be empty
  IdentitySource identity;
  std::string region;  // of signatures
  // The way to the server: the first that is not empty, else the registry, else the DNS.
  std::string mount_target_ip, host;
  std::string zone;
  std::string authority_file;

  // The tunnel's name for it: "mount." and a hash of all the above.
  std::string Id() const;

  // Where the tunnel carries it, and it was mounted from; empty until a mount of it succeeded.
  std::string address;

  // JSON.
  std::string ToText() const;
};

Carriage MakeCarriage(const Device& device, const Options& options, const IdentitySource& identity,
                      const Config& config);
// kInvalid: it is no JSON. kNotSupported: it was not written by this version's ToText.
Result<Carriage> ParseCarriage(const std::string& text);

// address:port of the file system's server. kNotFound: nobody knows it; the message is for users.
Result<std::string> FindServer(const Carriage& carriage, const Config& config);

// What the tunnel is to be told.
struct Opening {
  csi::Tunnel::OpenRequest request;
  std::string of;  // a hash of what it was made of: another one, and it is to be told again
  std::chrono::sys_seconds renew_at;
};

// Reads what it needs at each call, and keeps nothing. Makes a new key and certificate.
// kUnauthenticated: no valid credential; kUnavailable: no authority; as of FindServer.
class Opener {
 public:
  Opener(const Config& config, Environment environment, const Clock& clock = SystemClock())
      : config_(config), environment_(std::move(environment)), clock_(clock) {}

  Result<Opening> Prepare(const Carriage& carriage) const;

 private:
  const Config& config_;  // outlives it
  const Environment environment_;
  const Clock& clock_;
};

}  // namespace tarn::mount
