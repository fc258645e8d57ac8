// Exports: the ways into file systems, as the NFS server sees them. server/control implements it
// over its resources; tests have a table.
//
// The root that PUTROOTFH gives on a listener is the root of the mount target's file system. LOOKUP
// of the name "fsap-…" in that root, where it is an access point of that file system, enters the
// access point instead of a file of that name. Inside an access point nothing leads out: LOOKUPP at
// its root is NFS4ERR_NOENT, its handles carry its number, and the engine refuses files outside its
// realm.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "server/rpc/program.h"
#include "server/vfs/file_system.h"

namespace tarn::nfs4 {

struct PosixUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> gids;
};

// Immutable; shared because requests keep theirs while the resource is deleted.
struct Export {
  uint32_t file_system = 0;  // the engine's number: fsid.major, and part of every file handle
  uint64_t number =
      0;  // 0: the file system itself; else the access point's, never reused: fsid.minor
  vfs::FileSystem* engine = nullptr;
  vfs::FileId root;
  vfs::RealmId realm = vfs::kRootRealm;
  std::optional<PosixUser> user;  // replaces the caller's identity
  bool read_only = false;
  // Clients may be given delegations. EFS gives none.
  bool delegations = false;
  // What file system policies call it (server/policy/arn.h); the second one is empty for the file
  // system itself.
  std::string file_system_arn = {};
  std::string access_point_arn = {};
};

// What a connection may do in an export.
struct Rights {
  bool mount = true;  // use it at all; else NFS4ERR_ACCESS
  bool write = true;  // else all of it is read-only: NFS4ERR_ROFS
  bool root = true;   // else root is squashed
  // Without `mount`, of a file system: its root may be passed through, into an access point.
  bool pass = false;
  bool operator==(const Rights&) const = default;
};

// Who root is where it is squashed, as with EFS.
inline constexpr uint32_t kSquashedId = 65534;

class Exports {
 public:
  virtual ~Exports() = default;
  // The file system behind a listener's tag. kNotFound: the mount target or its file system is
  // gone.
  virtual Result<std::shared_ptr<const Export>> Root(uint64_t listener) = 0;
  // The access point of that name ("fsap-…") in a file system; its root directory is made now if it
  // is to be. kNotFound: none of that name here. kNoEntry: its root is not there and has no
  // creation info.
  virtual Result<std::shared_ptr<const Export>> Enter(uint32_t file_system,
                                                      std::string_view name) = 0;
  // The export that a file handle names, in O(1). kNotFound: deleted meanwhile (NFS4ERR_STALE).
  virtual Result<std::shared_ptr<const Export>> Find(uint32_t file_system, uint64_t number) = 0;
  // The root exports of all file systems that are served now: when the grace period after a restart
  // ends, the NFS server releases the orphans that the last run left in them.
  virtual std::vector<std::shared_ptr<const Export>> FileSystems() = 0;

  // What PUTROOTFH gives a connection. One that is bound to an access point sees nothing else,
  // which it enters as with EnterFor.
  virtual Result<std::shared_ptr<const Export>> RootFor(const rpc::Peer& peer) {
    return Root(peer.listener);
  }
  // Enter, of a connection. May give kDenied if it may not mount the access point, and in any case
  // makes no root directory for it then. Other errors as Enter.
  virtual Result<std::shared_ptr<const Export>> EnterFor(const rpc::Peer& /*peer*/,
                                                         const Export& file_system,
                                                         std::string_view name) {
    return Enter(file_system.file_system, name);
  }
  // Asked by each compound that enters the export, so that a right that was taken away is gone at
  // once: to be quick. Waits for nobody.
  virtual Rights RightsOf(const rpc::Peer& /*peer*/, const Export& /*exported*/) { return {}; }
  // Asked by each compound, of a caller whose uid, gid and gids the call says and no export
  // replaces: puts what the server itself knows of the user's groups in the place of what the call
  // says of them. To be quick.
  virtual void SettleGroups(vfs::Caller& /*caller*/) {}
};

}  // namespace tarn::nfs4
