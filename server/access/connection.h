// Connection: what is known of one connection for good, and what it may do, as decided last.
//
// Made at its beginning by AccessControl, carried by rpc::Peer. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/ip_address.h"
#include "server/nfs4/exports.h"
#include "server/rpc/program.h"

namespace tarn::access {

// Who is at the other end, and how it came. Nothing of it changes.
struct Facts {
  std::optional<IpAddress> source_ip = std::nullopt;
  bool secure_transport = false;
  std::string issuer = {};  // of the account's token
  // Verified: "namespace/name", of another cluster "cluster:namespace/name"; empty: none.
  std::string account_name = {};
  std::vector<std::string> groups = {};  // as Kubernetes puts every ServiceAccount into them
  std::string pod_name = {};             // "namespace/name", likewise; empty: not known
  std::string pod_uid = {};
  std::string aws_principal = {};  // verified: the ARN of who has the access key; empty: none
  std::string file_system = {};    // "fs-…" that it is bound to; empty: none
  std::string access_point = {};   // "fsap-…" that it is bound to; empty: none
};

// Whose state the clients are that come by such a connection (server/nfs4/state/client_key.h). A
// pod, since policies tell pods from each other, and since its connection ends with it, and must
// not carry what another pod's mount sends; without a pod, its ServiceAccount. What the certificate
// is bound to, so that access points are apart. And whether it is encrypted. Not the address, the
// key, the certificate or the token: those change while a client goes on.
rpc::PeerIdentity IdentityOf(const Facts& facts);

// For whom is counted what it holds of what all clients share: the ServiceAccount's namespace, or
// the AWS account. Who may make one pod, ServiceAccount or user may make many. Empty: nobody is
// known.
std::string TenantOf(const Facts& facts);

class Connection final : public rpc::Admission {
 public:
  explicit Connection(Facts facts)
      : Admission(IdentityOf(facts), TenantOf(facts)), facts_(std::move(facts)) {}
  const Facts& facts() const { return facts_; }

  // Of one decision about one export: valid while the policies have this generation and, if they
  // are not 0, until this second and while the names of access points have that generation.
  struct Decided {
    uint32_t file_system = 0;  // 0: none
    uint64_t number = 0;       // of the export
    uint64_t generation = 0;
    int64_t until = 0;  // seconds since 1970
    uint64_t names = 0;
    nfs4::Rights rights;
  };
  // The last decision by the policies of this generation, if there is one.
  std::optional<Decided> Recall(uint32_t file_system, uint64_t number, uint64_t generation) const;
  // What was decided of this export before, if anything.
  std::optional<nfs4::Rights> Keep(const Decided& decided) const;

 private:
  // Exports that one connection uses by turns: the file system and an access point, mostly. One
  // that carries many plain mounts has the others in a table of its own.
  static constexpr size_t kDecidedFew = 8;
  static constexpr size_t kDecidedMore = 1024;
  using More = std::map<std::pair<uint32_t, uint64_t>, Decided>;

  Decided* Find(uint32_t file_system, uint64_t number) const;  // mutex_ is held

  const Facts facts_;
  mutable std::shared_mutex mutex_;
  mutable std::array<Decided, kDecidedFew> decided_;  // guarded by mutex_
  mutable std::unique_ptr<More> more_;                // guarded by mutex_; null: none
};

}  // namespace tarn::access
