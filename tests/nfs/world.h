// A whole NFS server in this process, with an engine, a clock that the test moves, and a table of
// exports; clients reach it over a real socket.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/clock.h"
#include "server/nfs4/server.h"
#include "server/rpc/server.h"
#include "server/vfs/file_system.h"
#include "tests/nfs/client/client.h"

namespace tarn::nfs_test {

using namespace nfs4;
using nfs_client::Answer;
using nfs_client::AsOpaque;
using nfs_client::AsText;
using nfs_client::Attributes;
using nfs_client::Bytes;
using nfs_client::Client;
using nfs_client::ClientOptions;
using nfs_client::Compound;
using nfs_client::CompoundReply;
using nfs_client::Fh;
using nfs_client::Identity;
using nfs_client::kNoAnswer;
using nfs_client::OpenFile;
using nfs_client::OpenRequest;
using nfs_client::SetAttributes;

enum class EngineKind { kMemory, kLocal };

// Exports in a table: the file system, and access points by name.
class TableExports : public Exports {
 public:
  TableExports(uint32_t file_system, vfs::FileSystem& engine);
  Result<std::shared_ptr<const Export>> Root(uint64_t listener) override;
  Result<std::shared_ptr<const Export>> Enter(uint32_t file_system, std::string_view name) override;
  Result<std::shared_ptr<const Export>> Find(uint32_t file_system, uint64_t number) override;
  std::vector<std::shared_ptr<const Export>> FileSystems() override;

  void Add(const std::string& name, const Export& exported);
  void Remove(const std::string& name);
  void SetDelegations(bool allowed);
  // What RightsOf asks; everything is allowed where there is none.
  using Decide = std::function<Rights(const Export&)>;
  void SetRights(Decide decide);
  Rights RightsOf(const rpc::Peer& peer, const Export& exported) override;
  using Settle = std::function<void(vfs::Caller&)>;
  void SetGroups(Settle settle);
  void SettleGroups(vfs::Caller& caller) override;
  // After the engine was opened again.
  void SetEngine(vfs::FileSystem& engine);

 private:
  std::mutex mutex_;
  const uint32_t file_system_;
  bool delegations_ = false;                                      // guarded by mutex_
  Decide decide_;                                                 // guarded by mutex_
  Settle settle_;                                                 // guarded by mutex_
  std::shared_ptr<const Export> root_;                            // guarded by mutex_
  std::map<std::string, std::shared_ptr<const Export>> by_name_;  // guarded by mutex_
};

struct AccessPoint {
  std::string name;
  vfs::RealmId realm = 0;
};

class World {
 public:
  static constexpr std::chrono::seconds kLease{30};

  explicit World(EngineKind kind);
  ~World();

  // A client that has mounted; the test fails if it cannot.
  std::unique_ptr<Client> Mount(uint32_t minor, const std::string& owner = "client",
                                uint64_t boot = 1, const Identity& identity = {});
  ClientOptions Options(uint32_t minor, const std::string& owner = "client",
                        uint64_t boot = 1) const;
  // An access point on `path`, whose root directory is made as `creation` says.
  AccessPoint AddAccessPoint(const std::string& path, const vfs::CreationInfo& creation = {},
                             const std::optional<PosixUser>& user = {}, bool read_only = false);
  void RemoveAccessPoint(const AccessPoint& point) { exports_->Remove(point.name); }
  void SetQuota(const AccessPoint& point, const vfs::Quota& quota);

  // The file system's clients may be given delegations. For opens from now on.
  void AllowDelegations() { exports_->SetDelegations(true); }

  // Asked by each compound, and by what goes on in the background.
  void DecideRights(TableExports::Decide decide) { exports_->SetRights(std::move(decide)); }

  // What the server knows of users' groups. From now on.
  void SettleGroups(TableExports::Settle settle) { exports_->SetGroups(std::move(settle)); }

  // A new start on the same port: sockets close, memory is gone, the disk stays. With the memory
  // engine it is what kill -9 would leave.
  void Restart();
  // Time passes, and the server notices.
  void Advance(std::chrono::seconds by);
  // The grace period is over.
  void EndGrace() { Advance(kLease + std::chrono::seconds(1)); }

  vfs::FileSystem& engine() { return *file_system_; }
  uint16_t port() const { return port_; }
  rpc::Server& rpc() { return *rpc_; }

 private:
  void Start();
  void Stop();
  void OpenEngine();

  const EngineKind kind_;
  std::string directory_;  // of the local engine
  ManualClock clock_;
  std::unique_ptr<vfs::Engine> store_;
  uint32_t file_system_number_ = 0;
  vfs::FileSystem* file_system_ = nullptr;
  std::unique_ptr<TableExports> exports_;
  std::unique_ptr<Server> nfs_;
  std::unique_ptr<rpc::Server> rpc_;
  uint16_t port_ = 0;
  uint64_t next_export_ = 1;
};

// --- what the suites share ---

struct Setting {
  EngineKind engine = EngineKind::kMemory;
  uint32_t minor = 1;
};

void PrintTo(const Setting& setting, std::ostream* out);
std::string NameOf(const ::testing::TestParamInfo<Setting>& info);
const std::vector<Setting>& EverySetting();  // each engine with 4.0, 4.1 and 4.2
const std::vector<Setting>& Settings40();    // each engine with 4.0
const std::vector<Setting>& Settings41();    // each engine with 4.1 and 4.2
const std::vector<Setting>& Settings42();    // each engine with 4.2

// One client, "client", mounted as root, and the root's handle. The grace period is over.
class NfsTest : public ::testing::TestWithParam<Setting> {
 protected:
  NfsTest();
  uint32_t minor() const { return GetParam().minor; }
  std::unique_ptr<Client> Another(const std::string& owner, const Identity& identity = {}) {
    return world.Mount(minor(), owner, 1, identity);
  }
  // A file with that content, closed.
  Fh MakeFile(const Fh& directory, std::string_view name, std::string_view content = "",
              uint32_t mode = 0644);
  std::string Content(const Fh& file);
  std::vector<std::string> Names(const Fh& directory);

  World world;
  std::unique_ptr<Client> client;
  Fh root;
};

class Nfs40Test : public NfsTest {};
class Nfs41Test : public NfsTest {};
class Nfs42Test : public NfsTest {};

#define NFS_SUITE(suite, settings) \
  INSTANTIATE_TEST_SUITE_P(All, suite, ::testing::ValuesIn(settings), NameOf)

}  // namespace tarn::nfs_test

// Failure messages name the status.
namespace tarn::nfs4 {
inline void PrintTo(nfsstat4 status, std::ostream* out) {
  *out << (status == nfs_client::kNoAnswer ? "no answer" : Name(status)) << " ("
       << static_cast<uint32_t>(status) << ")";
}
}  // namespace tarn::nfs4
