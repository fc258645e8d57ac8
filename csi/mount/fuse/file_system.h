// FileSystem: FUSE requests (fuse_lowlevel.h) served by an NFS 4.0 server.
//
// Consistency is NFS's close-to-open: an open asks the server whether the file is still the one of
// that name and unchanged; a close or fsync returns when everything written is stable there.
// In between, attributes and names may be as old as Options::attribute_seconds.
// Threads: each request runs on one of the session's threads and waits for the server there. A
// thread leaves a node's mutex before it calls the server or the kernel.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "csi/mount/fuse/node.h"
#include "csi/mount/fuse/options.h"
#include "csi/mount/fuse/state.h"

namespace tarn::fuse {

class FileSystem {
 public:
  // Finds the root; fails with a sentence.
  static Result<std::unique_ptr<FileSystem>> Connect(const Options& options);
  ~FileSystem();

  static const fuse_lowlevel_ops& Operations();
  void SetSession(fuse_session* session) { session_ = session; }
  // Sends what is not yet stable, for a while.
  void SyncAll() { write_back_->SyncAll(std::chrono::seconds(10)); }
  // Ends every request that waits for the server.
  void Stop();
  uint32_t read_bytes_max() const { return read_bytes_max_; }

 private:
  // An open file, or directory, as fuse_file_info::fh.
  struct File {
    Node* node;
    Credential credential;  // its opener's: reads and writes are done as that user
  };
  struct Directory {
    std::mutex mutex;
    std::vector<DirectoryEntry> entries;  // a run of the directory that starts after `start`
    size_t next = 0;
    uint64_t start = 0;
    Verifier verifier = {};
    bool eof = false;
    bool plus = false;
  };
  struct LockJob {
    fuse_req_t request;
    Node* node;
    Caller caller;
    uint64_t owner;
    LockKind kind;
    uint64_t offset;
    uint64_t length;
    Backoff backoff;
    std::chrono::steady_clock::time_point next;
  };
  struct Groups {
    uint32_t uid;
    uint32_t gid;
    std::vector<uint32_t> groups;
    std::chrono::steady_clock::time_point until;
  };
  friend struct Adapter;

  explicit FileSystem(const Options& options);
  Result<void> FindRoot();

  static FileSystem& Of(fuse_req_t request) {
    return *static_cast<FileSystem*>(fuse_req_userdata(request));
  }
  static File& FileOf(fuse_file_info* info) { return *reinterpret_cast<File*>(info->fh); }

  Caller CallerOf(fuse_req_t request);
  Caller CallerOf(fuse_req_t request, fuse_file_info* info);

  // Common parts.
  void Init(fuse_conn_info* connection);
  void MatchCache(Node& node, uint64_t change, bool by_us);
  void Told(Node& node, const Attributes& attributes, bool by_us);
  bool IsOld(Node& node, const Attributes& attributes);
  Status Refresh(const Caller& caller, Node& node, Attributes& attributes);
  WriteBack::File BufferOf(Node& node, bool make);
  void FillAttributes(Node& node, const Attributes& attributes, struct stat& stat);
  Status FillEntry(const Caller& caller, const FileHandle& handle, Attributes attributes,
                   const FileHandle& directory, std::string_view name, bool by_us,
                   fuse_entry_param& entry);
  void ReplyEntry(fuse_req_t request, const Caller& caller, const FileHandle& handle,
                  const Attributes& attributes, const FileHandle& directory, std::string_view name);
  std::string HiddenName(const Node& node);
  void CloseNode(Node& node, bool released);

  // Names (names.cc).
  void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  void Make(fuse_req_t request, fuse_ino_t parent, const char* name, nfs_ftype4 type, mode_t mode,
            dev_t rdev, const char* target);
  bool IsOurs(const Caller& caller, const FileHandle& directory, std::string_view name,
              nfs_ftype4 type, const timespec& mark, FileHandle& handle, Attributes& attributes);
  void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
              fuse_file_info* info);
  void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev);
  static constexpr std::chrono::milliseconds kHiddenPatience{1000};
  bool HiddenLeft(const Caller& caller, const FileHandle& parent, const char* name,
                  uint64_t gone_before);
  void Remove(fuse_req_t request, fuse_ino_t parent, const char* name, bool directory);
  Node* PinTarget(const Caller& caller, const FileHandle& directory, const char* name);
  Status Hide(const Caller& caller, Node& node, const FileHandle& directory, const char* name,
              bool by_link);
  void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
              const char* new_name, unsigned flags);
  Status RenameOnce(const Caller& caller, const FileHandle& from, const char* name,
                    const FileHandle& to, const char* new_name);
  void Link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char* name);
  void ReadLink(fuse_req_t request, fuse_ino_t ino);

  // Data (data.cc).
  void Open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info);
  static constexpr size_t kAskedAgainMax = 4096;
  bool IsSecondTry(const Caller& caller, const Node& node);
  Status AskAgain(const Caller& caller, const Node& node);
  Status CheckOpen(const Caller& caller, Node& node, int flags);
  void StartFile(Node& node, const Caller& caller, fuse_file_info* info);
  void Read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* info);
  void Write(fuse_req_t request, fuse_ino_t ino, const char* data, size_t size, off_t offset,
             fuse_file_info* info);
  int AppendOffset(const Caller& caller, Node& node, off_t& offset);
  void Flush(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info);
  void Sync(fuse_req_t request, fuse_ino_t ino);
  void Release(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info);
  void Allocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length,
                fuse_file_info* info);

  // Attributes (attributes.cc).
  void GetAttr(fuse_req_t request, fuse_ino_t ino);
  void SetAttr(fuse_req_t request, fuse_ino_t ino, struct stat* stat, int to_set,
               fuse_file_info* info);
  void Access(fuse_req_t request, fuse_ino_t ino, int mask);
  Status CheckAccess(const Caller& caller, const Node& node, uint32_t wanted);
  void StatFs(fuse_req_t request);

  // Directories (directory.cc).
  void OpenDir(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info);
  void ReadDir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* info,
               bool plus);
  Status CollectEntries(fuse_req_t request, Node& node, Directory& directory, uint64_t at,
                        bool plus, std::span<char> out, size_t& used);
  Status FillRun(const Caller& caller, const FileHandle& handle, Directory& directory,
                 uint64_t cookie, bool plus);
  size_t AddEntry(fuse_req_t request, const Caller& caller, Node& parent,
                  const DirectoryEntry& entry, uint64_t next, bool plus, std::span<char> room);

  // Locks (locks.cc).
  void GetLock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info, struct flock* lock);
  void SetLock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info, struct flock* lock,
               bool sleep);
  void FLock(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info, int op);
  void StartLock(LockJob job, bool sleep);
  Status TryLock(const LockJob& job);
  LockTarget TargetOf(Node& node);
  void LockLoop();

  const Options options_;
  const std::unique_ptr<Client> client_;
  std::unique_ptr<State> state_;
  std::unique_ptr<WriteBack> write_back_;
  std::unique_ptr<NodeTable> nodes_;
  uint32_t read_bytes_max_ = 1U << 20;
  fuse_session* session_ = nullptr;
  std::atomic<uint64_t> hidden_{0};

  std::mutex asked_mutex_;
  std::map<pid_t, const Node*> asked_again_;  // opens that were answered ESTALE, by thread

  std::mutex groups_mutex_;
  std::map<pid_t, Groups> groups_;

  std::mutex locks_mutex_;
  std::condition_variable locks_wake_;
  std::list<LockJob> waiting_locks_;
  bool stopping_ = false;
  std::thread lock_thread_;
};

}  // namespace tarn::fuse
