// Config: /etc/tarn/mount.conf, where things are on this machine. On a node of a cluster the file
// need not be there: the defaults are where the CSI node plugin and the tunnel have theirs.
//
//   [mount]
//   tunnel    = /run/tarn-tunnel/tunnel.sock   the node's tarn-tunnel
//   registry  = /run/tarn/registry             which file systems there are (docs/programs.md)
//   authority = /run/tarn/nfs-ca.crt           who may have signed file servers' certificates
//   region    = local                          what signatures are for
//   zone      =                                whose mount targets are preferred
//   mounter   = auto                           auto, kernel or fuse
//   cgroup    = tarn-mounts                    where processes go that outlive the mount command
//   timeout   = 15                             seconds of a try; three times that of all
//   state     = /run/tarn-mount                what --watch renews; for root alone
//   log       = /var/log/tarn/mount.log
//   [watch]
//   interval  = 10                             seconds between two looks
//   life      = 10800                          seconds that a certificate is good
#pragma once

#include <chrono>
#include <string>

#include "common/result.h"

namespace tarn::mount {

struct Config {
  std::string tunnel = "/run/tarn-tunnel/tunnel.sock";
  std::string registry = "/run/tarn/registry";
  std::string authority = "/run/tarn/nfs-ca.crt";
  std::string region = "local";
  std::string zone;
  std::string mounter = "auto";
  std::string cgroup = "tarn-mounts";
  std::chrono::seconds timeout{15};
  std::string state = "/run/tarn-mount";
  std::string log = "/var/log/tarn/mount.log";
  std::chrono::seconds interval{10};
  std::chrono::seconds life{10800};

  std::string file;  // where it was read from; empty: the defaults
};

inline constexpr const char* kConfigFile = "/etc/tarn/mount.conf";

// `path` empty: kConfigFile, which need not be there. kInvalid names the key at fault.
Result<Config> ReadConfig(const std::string& path);
Result<Config> ParseConfig(const std::string& text);

}  // namespace tarn::mount
