// ControlApi: the calls the reconcilers make to file servers. One interface, so that they are
// tested without a server.
//
// Thread-safe; calls block, at most kControlTimeout. Errors: kUnavailable while a server is not up,
// kNotFound, kInvalid, kAlreadyExists, kInUse and so on as the server says.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::op {

inline constexpr std::chrono::seconds kControlTimeout{10};

using Tags = std::vector<std::pair<std::string, std::string>>;

struct FileSystemFacts {
  std::string life_cycle_state;
  uint64_t size_bytes = 0;
  uint64_t size_in_ia = 0;
  uint64_t size_in_standard = 0;
  uint64_t size_in_archive = 0;
  int64_t size_timestamp = 0;  // seconds since 1970
  std::string throughput_mode;
  double provisioned_mibps = 0;
  std::string status_message = {};  // why the state is error
};

struct AccessPointUser {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> secondary_gids;
};

struct AccessPointCreation {
  uint32_t uid = 0, gid = 0;
  std::string permissions;
};

struct AccessPointSpec {
  std::string client_token;
  std::string file_system_id;
  std::optional<AccessPointUser> user;
  std::string path;
  std::optional<AccessPointCreation> creation;
  Tags tags;
  uint64_t quota_bytes = 0;
  uint64_t quota_files = 0;
};

struct AccessPointFacts {
  std::string id;
  std::string life_cycle_state;
  uint64_t quota_bytes = 0;
  uint64_t quota_files = 0;
  uint64_t used_bytes = 0;
  uint64_t used_files = 0;
};

struct LifecycleRules {
  std::string to_ia, to_archive, to_primary;  // EFS's words, such as AFTER_30_DAYS; empty: none
};

// A client that a server refused, or whose right it took away.
struct Denial {
  int64_t seconds = 0;  // since 1970
  std::string layer, reason;
  std::string access_point_id;  // empty: the file system itself
  std::string service_account;  // "namespace/name"; empty: anonymous
  std::string pod;              // "namespace/name"; empty: not known
  std::string address;
};

struct Denials {
  std::vector<Denial> denials;  // oldest first
  uint64_t last = 0;            // where to go on
};

struct ClientPems {
  std::string ca, certificate, key;
  bool operator==(const ClientPems&) const = default;
};

class ControlApi {
 public:
  virtual ~ControlApi() = default;
  // Who we are to the servers. Connections made with other credentials are dropped.
  virtual void SetCredentials(const ClientPems& pems) = 0;

  // `address` is "host:port" everywhere.
  virtual Result<FileSystemFacts> DescribeFileSystem(const std::string& address,
                                                     const std::string& id) = 0;
  virtual Result<void> UpdateThroughput(const std::string& address, const std::string& id,
                                        const std::string& mode, double mibps) = 0;
  virtual Result<AccessPointFacts> CreateAccessPoint(const std::string& address,
                                                     const AccessPointSpec& spec) = 0;
  virtual Result<AccessPointFacts> DescribeAccessPoint(const std::string& address,
                                                       const std::string& id) = 0;
  // The access point that was made with that client token; kNotFound when there is none.
  virtual Result<AccessPointFacts> FindAccessPoint(const std::string& address,
                                                   const std::string& file_system_id,
                                                   const std::string& client_token) = 0;
  virtual Result<AccessPointFacts> UpdateAccessPoint(const std::string& address,
                                                     const std::string& id, uint64_t quota_bytes,
                                                     uint64_t quota_files) = 0;
  virtual Result<void> DeleteAccessPoint(const std::string& address, const std::string& id,
                                         bool with_root) = 0;
  virtual Result<void> PutLifecycle(const std::string& address, const std::string& id,
                                    const LifecycleRules& rules) = 0;
  // Makes the file system policy exactly this one; empty: none. kInvalid says what is wrong.
  virtual Result<void> SetPolicy(const std::string& address, const std::string& id,
                                 const std::string& policy) = 0;
  // Those after that sequence; a server that was restarted counts anew, and `last` is smaller.
  virtual Result<Denials> DescribeDenials(const std::string& address, const std::string& id,
                                          uint64_t after) = 0;
  // Makes the mount target on the default listener, under that id, let in exactly these addresses,
  // ranges, and for "node" the node of the server's pod (sorted; one at least).
  virtual Result<void> SetSecurityGroups(const std::string& address,
                                         const std::string& file_system_id,
                                         const std::string& mount_target_id,
                                         const std::vector<std::string>& ranges) = 0;
  // Makes the tags of a file system or access point exactly these.
  virtual Result<void> SetTags(const std::string& address, const std::string& id,
                               const Tags& tags) = 0;
};

// Over gRPC with mutual TLS.
std::unique_ptr<ControlApi> NewGrpcControl();

}  // namespace tarn::op
