// Manager: the resources of the EFS API over one storage engine. The gRPC service (service.h) is a
// thin skin of it.
//
// Messages are those of api/control.proto, which says what each operation does. Errors carry EFS's
// names (errors.h). Threads: any; a change holds the manager's mutex for the time of one record
// write, work on files is done outside of it. NFS requests never take that mutex (exports.h).
//
// State survives restarts: an operation of several steps writes its intent first ("creating",
// "deleting") and is finished by the next Open or by the housekeeping thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "api/control.pb.h"
#include "common/clock.h"
#include "common/result.h"
#include "server/audit/journal.h"
#include "server/control/exports.h"
#include "server/control/key_keeper.h"
#include "server/control/limits.h"
#include "server/control/scrubs.h"
#include "server/control/sealed_records.h"
#include "server/control/store.h"
#include "server/policy/table.h"
#include "server/rpc/server.h"
#include "server/vfs/file_system.h"

namespace tarn::control {

inline constexpr uint64_t kDefaultListenerTag = 0;
inline constexpr std::chrono::seconds kHousekeepingInterval{1};

struct Options {
  // Told as the address of mount targets on the default listener.
  std::string default_address = "0.0.0.0";
  uint16_t default_port = 2049;
  std::string owner_id = "000000000000";
  std::string region = "local";  // in ARNs, as owner_id is
  size_t file_systems_max = kFileSystemsMax;
  size_t access_points_max = kAccessPointsPerFileSystemMax;
  // EFS allows a change of mode or a decrease once in 24 h. Here throughput is changeable at any
  // time, unless this is set.
  std::chrono::seconds throughput_cooldown{0};
  // Of scrubs whose request says nothing else.
  uint64_t scrub_bytes_per_second = kScrubBytesPerSecond;
  // All is scrubbed so long after the last time, over restarts too. 0: only when asked.
  std::chrono::seconds scrub_every{0};
  // The customer-managed keys; null: none. Must outlive the manager.
  const keys::KeyRing* keys = nullptr;
  // What server/access decided, for DescribeAccessDecisions; null: nothing. Must outlive the
  // manager.
  const audit::Journal* decisions = nullptr;
  // What the NFS server does with the groups of a call's user, for ExplainAccess; none: nothing.
  std::function<void(vfs::Caller&)> settle_groups;
  KeeperOptions keeper;
  // A mount target without security groups lets nobody in, instead of everybody.
  bool closed = false;
  // What the security group "node" stands for (own_node.h).
  std::vector<IpRange> own_node;
  bool keeper_threads = true;  // false: a test calls keeper().Step
};

class Manager : private KeyOwner {
 public:
  // Reads all resources and finishes what a crash left half done. `engine` and `clock` must outlive
  // it. Encrypted file systems are locked until the keeper has their keys; nobody waits for it.
  static Result<std::unique_ptr<Manager>> Open(vfs::Engine& engine, const Clock& clock,
                                               const Options& options);
  ~Manager() override;

  ExportTable& exports() { return exports_; }
  // The file system policies in force, by the engine's number of the file system. That of a file
  // system stands here before its exports do.
  const policy::Table& policies() const { return policies_; }
  KeyKeeper& keeper() { return *keeper_; }

  // Opens the listeners of mount targets on `server`; one that cannot be opened leaves its mount
  // target in the state error, and is tried again each second. `server` must live until
  // StopServing.
  void Serve(rpc::Server& server);
  void StopServing();

  // The file system `id` exists (is made, with its id as token, and encrypted with `key` if that is
  // given) and is behind the default listener.
  Result<void> EnsureDefaultFileSystem(const std::string& id, const std::string& key = {});

  // Numbers for metrics: usage by file system id.
  struct FileSystemUsage {
    std::string id;
    vfs::Usage usage;
    size_t access_points = 0;
  };
  std::vector<FileSystemUsage> Usage();

  Result<v1::FileSystemDescription> CreateFileSystem(const v1::CreateFileSystemRequest&);
  Result<v1::DescribeFileSystemsResponse> DescribeFileSystems(
      const v1::DescribeFileSystemsRequest&);
  Result<v1::FileSystemDescription> UpdateFileSystem(const v1::UpdateFileSystemRequest&);
  Result<v1::Empty> DeleteFileSystem(const v1::DeleteFileSystemRequest&);

  Result<v1::DescribeKeysResponse> DescribeKeys(const v1::DescribeKeysRequest&);
  Result<v1::FileSystemDescription> RewrapDataKey(const v1::RewrapDataKeyRequest&);

  Result<v1::MountTargetDescription> CreateMountTarget(const v1::CreateMountTargetRequest&);
  Result<v1::DescribeMountTargetsResponse> DescribeMountTargets(
      const v1::DescribeMountTargetsRequest&);
  Result<v1::Empty> DeleteMountTarget(const v1::DeleteMountTargetRequest&);
  Result<v1::Empty> ModifyMountTargetSecurityGroups(
      const v1::ModifyMountTargetSecurityGroupsRequest&);
  Result<v1::DescribeMountTargetSecurityGroupsResponse> DescribeMountTargetSecurityGroups(
      const v1::DescribeMountTargetSecurityGroupsRequest&);

  Result<v1::AccessPointDescription> CreateAccessPoint(const v1::CreateAccessPointRequest&);
  Result<v1::DescribeAccessPointsResponse> DescribeAccessPoints(
      const v1::DescribeAccessPointsRequest&);
  Result<v1::AccessPointDescription> UpdateAccessPoint(const v1::UpdateAccessPointRequest&);
  Result<v1::Empty> DeleteAccessPoint(const v1::DeleteAccessPointRequest&);

  Result<v1::LifecycleConfigurationDescription> PutLifecycleConfiguration(
      const v1::PutLifecycleConfigurationRequest&);
  Result<v1::LifecycleConfigurationDescription> DescribeLifecycleConfiguration(
      const v1::DescribeLifecycleConfigurationRequest&);

  Result<v1::FileSystemPolicyDescription> PutFileSystemPolicy(
      const v1::PutFileSystemPolicyRequest&);
  Result<v1::FileSystemPolicyDescription> DescribeFileSystemPolicy(
      const v1::DescribeFileSystemPolicyRequest&);
  Result<v1::Empty> DeleteFileSystemPolicy(const v1::DeleteFileSystemPolicyRequest&);

  Result<v1::Empty> TagResource(const v1::TagResourceRequest&);
  Result<v1::Empty> UntagResource(const v1::UntagResourceRequest&);
  Result<v1::ListTagsForResourceResponse> ListTagsForResource(
      const v1::ListTagsForResourceRequest&);

  Result<v1::DescribeAccessDecisionsResponse> DescribeAccessDecisions(
      const v1::DescribeAccessDecisionsRequest&);
  Result<v1::ExplainAccessResponse> ExplainAccess(const v1::ExplainAccessRequest&);

  Result<v1::FsckReport> Fsck(const v1::FsckRequest&);
  Result<v1::ScrubReport> StartScrub(const v1::StartScrubRequest&);
  Result<v1::ScrubReport> DescribeScrub(const v1::DescribeScrubRequest&);
  Result<v1::ScrubReport> StopScrub(const v1::StopScrubRequest&);

 private:
  struct FileSystem;
  struct AccessPoint {
    records::AccessPoint record;
    std::shared_ptr<FileSystem> file_system;
  };
  struct FileSystem {
    records::FileSystem record;
    vfs::FileSystem* engine = nullptr;  // null: broken, not made, or being deleted
    std::map<std::string, std::shared_ptr<AccessPoint>> access_points;  // by id
    std::multimap<std::string, AccessPoint*> by_path;
    std::map<uint32_t, size_t> numbers;                // uids and gids in use, how often
    std::map<std::string, std::string> mount_targets;  // by zone, the id
    std::vector<records::AccessPoint> doomed;          // records to remove with the file system
    bool finishing = false;                            // somebody deletes it now
    // Of an encrypted one: null while it is locked, and then those access points whose records
    // cannot be read.
    std::unique_ptr<Sealer> sealer;
    std::vector<std::shared_ptr<AccessPoint>> sealed;
    // Making and removing root directories, one at a time. Taken before mutex_.
    std::mutex roots_mutex;

    const std::string& id() const { return record.description().file_system_id(); }
    bool available() const { return record.description().life_cycle_state() == "available"; }
    bool encrypted() const { return record.description().encrypted(); }
  };
  struct MountTarget {
    records::MountTarget record;
    uint64_t listener = 0;  // rpc::Server's id
    bool listening = false;
  };
  using FileSystemPtr = std::shared_ptr<FileSystem>;
  using AccessPointPtr = std::shared_ptr<AccessPoint>;
  using Lock = std::unique_lock<std::mutex>;

  Manager(vfs::Engine& engine, const Clock& clock, const Options& options);

  // Opening (recovery.cc).
  Result<void> Load();
  Result<void> LoadFileSystem(records::FileSystem record);
  void LoadAccessPoint(records::AccessPoint record);
  void LoadMountTarget(records::MountTarget record);
  void ReapplyQuotas(const FileSystem* only = nullptr);
  void Housekeep();
  void RunHousekeeping();

  // Scrubs (scrub.cc). mutex_ is not held.
  Result<std::vector<Scrubs::Subject>> ScrubSubjects(const std::string& id);
  void ScrubWhenDue();

  // All below: mutex_ is held, unless said otherwise.
  Result<FileSystemPtr> FindFileSystem(const std::string& id);
  Result<FileSystemPtr> FindMade(const std::string& id);       // maybe locked
  Result<FileSystemPtr> FindAvailable(const std::string& id);  // and not locked
  Result<AccessPointPtr> FindAccessPoint(const std::string& id);

  // Encryption (encryption.cc). The keeper's threads call these three; mutex_ is not held.
  Result<void> UnlockFileSystem(const std::string& id, const SecretBytes& data_key) override;
  void LockFileSystem(const std::string& id, vfs::LockReason reason) override;
  Result<void> StoreRewrapped(const std::string& id, const std::string& before,
                              const std::string& blob) override;
  struct NewKey {
    std::string name;
    std::string blob;
    SecretBytes data_key;
  };
  // Not held: asks the provider.
  Result<NewKey> MakeKey(const std::string& id, const std::string& name);
  // Held from here on.
  Result<void> CheckUnlocked(const FileSystem& fs);
  // What to answer of what is sealed: why it is locked, or to try again.
  Error BeingLocked(const FileSystem& fs);
  void DescribeEncryption(const FileSystem& fs, v1::FileSystemDescription& description);
  void AddSealed(const AccessPointPtr& ap);
  void SealAll(FileSystem& fs);
  Result<std::vector<AccessPointPtr>> OpenSealed(const FileSystem& fs, const Sealer& sealer);
  Result<void> Put(const FileSystem& fs, const records::AccessPoint& record);

  Result<void> MakeInEngine(FileSystem& fs, const SecretBytes* data_key);
  void PublishRoot(FileSystem& fs, vfs::FileId root);
  void EnforcePolicy(const FileSystem& fs);
  std::string ArnOf(const FileSystem& fs) const;
  std::string ArnOf(const AccessPoint& ap) const;
  Result<v1::FileSystemDescription> Repeated(FileSystem& fs, const v1::CreateFileSystemRequest&);
  v1::FileSystemDescription Describe(const FileSystem& fs);
  // Not held. True when it is gone.
  bool FinishDelete(const FileSystemPtr& fs);

  void Insert(const AccessPointPtr& ap);
  void Erase(const AccessPointPtr& ap);
  void Forget(const AccessPointPtr& ap);  // its exports stay
  void PublishAccessPoint(const AccessPoint& ap);
  Result<AccessPointPtr> NewAccessPoint(const v1::CreateAccessPointRequest& request);
  Result<void> TakeGid(FileSystem& fs, v1::CreateAccessPointRequest& request);
  Result<void> CheckRootRemovable(const AccessPoint& ap);
  vfs::Quota SharedQuota(const FileSystem& fs, const std::string& path);
  // Not held.
  Result<ExportPtr> FirstUse(std::string_view id);
  Result<void> ApplyQuota(FileSystem& fs, const std::string& path, vfs::RealmId realm);
  Result<void> FinishDelete(AccessPointPtr ap);
  v1::AccessPointDescription Describe(const AccessPointPtr& ap);

  Result<void> StartListening(MountTarget& target);
  Result<void> OpenListener(FileSystem& fs, const v1::CreateMountTargetRequest& request,
                            MountTarget& target);
  void BindDefault(FileSystem& fs);
  void UnbindDefaultIfUnused();
  Result<v1::MountTargetDescription> Repeated(const MountTarget& target,
                                              const v1::CreateMountTargetRequest&);
  v1::MountTargetDescription Describe(const MountTarget& target);
  // Security groups (security_groups.cc). New connections to the listener are judged by what its
  // mount targets allow now.
  void EnforceGroups(uint64_t tag);
  // Not held. Ends those that are not allowed any more.
  void EndForbidden(rpc::Server* server);

  // Reads and changes the tags of any resource in one write.
  Result<void> ChangeTags(
      const std::string& id,
      const std::function<Result<void>(google::protobuf::RepeatedPtrField<v1::Tag>& tags)>& change);

  int64_t NowSeconds() const;

  vfs::Engine& engine_;
  const Clock& clock_;
  const Options options_;
  ExportTable exports_;
  policy::Table policies_;

  std::mutex mutex_;
  Store store_;
  std::map<std::string, FileSystemPtr> file_systems_;
  std::map<std::string, AccessPointPtr> access_points_;
  std::map<std::string, FileSystemPtr> sealed_;  // by access point: its record cannot be read yet
  std::map<std::string, MountTarget> mount_targets_;
  std::unordered_map<std::string, std::string> file_system_tokens_;   // token to id
  std::unordered_map<std::string, std::string> access_point_tokens_;  // token to id
  std::string default_file_system_;  // behind the default listener; empty: none
  bool default_is_fixed_ = false;    // by EnsureDefaultFileSystem
  rpc::Server* server_ = nullptr;

  std::unique_ptr<KeyKeeper> keeper_;
  Scrubs scrubs_;
  int64_t scrubbed_ = 0;  // when the last one of all ended; of the housekeeper

  std::condition_variable wake_;
  bool stopping_ = false;
  bool wake_now_ = false;
  std::thread housekeeper_;
};

}  // namespace tarn::control
