// An NFS 4.0, 4.1 or 4.2 client for tests and benchmarks: one client id, one session (4.1), any
// number of connections, and a call for each thing a test wants to do. It hides nothing: every
// answer is the server's own status, nothing is retried, and Run* take any compound.
//
// Threads: not thread-safe; two threads take two clients, or two connections with slots of their
// own and RunOn.
#pragma once

#include <map>
#include <utility>

#include "tests/nfs/client/attributes.h"
#include "tests/nfs/client/callbacks.h"

namespace tarn::nfs_client {

struct ClientOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  uint32_t minor = 1;
  std::string owner = "client";  // co_ownerid, nfs_client_id4.id
  uint64_t boot = 1;             // the verifier: another one is another life of that owner
  uint32_t slots = 16;
  uint32_t request_bytes = (1 << 20) + 4096;
  uint32_t reply_bytes = (1 << 20) + 4096;
  // Takes callbacks: over its connections in 4.1, over a listener of its own in 4.0.
  bool callbacks = false;
  Identity identity;
  std::optional<tls::ClientTlsOptions> tls;  // absent: in the clear
};

struct OpenRequest {
  std::string owner = "opener";
  uint32_t access = nfs4::OPEN4_SHARE_ACCESS_BOTH;
  uint32_t deny = nfs4::OPEN4_SHARE_DENY_NONE;
  std::optional<nfs4::createmode4> create;
  SetAttributes attributes;
  nfs4::verifier4 verifier = {};
};

struct OpenFile {
  Fh fh;
  stateid4 state;
  std::string owner;
  nfs4::OPEN4resok result;  // its opaque members are not valid any more
};

struct LockState {
  stateid4 state;
  std::string owner;
};

// What a denied lock collides with.
struct Conflict {
  uint64_t offset = 0;
  uint64_t length = 0;
  nfs4::nfs_lock_type4 type{};
  std::string owner;
};

struct DirectoryEntry {
  uint64_t cookie = 0;
  std::string name;
  Attributes attributes;
};

struct DirectoryPage {
  std::vector<DirectoryEntry> entries;
  nfs4::verifier4 verifier{};
  bool end = false;
};

struct WriteAnswer {
  uint32_t count = 0;
  nfs4::stable_how4 committed{};
  nfs4::verifier4 verifier{};
};

struct ReadAnswer {
  Bytes data;
  bool end = false;
};

// A segment of READ_PLUS: data, or a hole of `length` bytes.
struct Segment {
  uint64_t offset = 0;
  uint64_t length = 0;
  bool hole = false;
  Bytes data;
};

struct ReadPlusAnswer {
  std::vector<Segment> segments;
  bool end = false;
};

struct CopyAnswer {
  uint64_t count = 0;
  nfs4::stable_how4 committed{};
  nfs4::verifier4 verifier{};
  bool synchronous = false;
  std::optional<stateid4> job;  // of an asynchronous one
};

struct XattrPage {
  std::vector<std::string> names;
  uint64_t cookie = 0;
  bool end = false;
};

class Client {
 public:
  // Connects and makes a client id; with 4.1 a session too, and says that it has nothing to reclaim
  // when `reclaim_complete`.
  static Answer<std::unique_ptr<Client>> Mount(const ClientOptions& options,
                                               bool reclaim_complete = true);
  // Connects only.
  static Answer<std::unique_ptr<Client>> Connect(const ClientOptions& options);

  // --- compounds ---
  // On slot 0 with the next sequence id (4.1), or bare (4.0).
  CompoundReply Run(Compound& compound);
  // Without SEQUENCE in front, in any version.
  CompoundReply RunBare(Compound& compound);
  // With exactly this SEQUENCE; the client's own count is untouched.
  CompoundReply RunWith(const nfs4::SEQUENCE4args& sequence, Compound& compound);
  // SEQUENCE for the next request of a slot, counted.
  nfs4::SEQUENCE4args NextSequence(uint32_t slot, bool cache = true);
  // In another minor version than the client's own.
  CompoundReply RunMinor(uint32_t minor, Compound& compound);

  // --- identity and state of the client (client.cc) ---
  nfsstat4 ExchangeId();     // 4.1
  nfsstat4 CreateSession();  // 4.1
  nfsstat4 SetClientId();    // 4.0, with its confirmation
  nfsstat4 ReclaimComplete();
  nfsstat4 DestroySession();
  nfsstat4 DestroyClientId();
  nfsstat4 Renew();  // RENEW, or a lone SEQUENCE
  // A further connection, which becomes the current one; in 4.1 it is bound by its first SEQUENCE.
  bool Reconnect();
  // The same, but the connection before stays open, with the caller, who may make it current again.
  std::unique_ptr<RpcConnection> AddConnection();
  std::unique_ptr<RpcConnection> Use(std::unique_ptr<RpcConnection> connection) {
    return std::exchange(connection_, std::move(connection));
  }
  // 4.1: binds the current connection to the session (RFC 8881 section 18.34).
  nfsstat4 BindConnection(nfs4::channel_dir_from_client4 direction);
  // What the server calls. WaitCallback takes one call; false: none came.
  CallbackProgram& callbacks() { return *callbacks_; }
  bool WaitCallback();
  CallbackListener& listener() { return *listener_; }  // 4.0
  RpcConnection& connection() { return *connection_; }
  void SetIdentity(const Identity& identity);
  uint64_t client_id() const { return client_id_; }
  const nfs4::sessionid4& session_id() const { return session_id_; }
  const nfs4::channel_attrs4& fore_channel() const { return fore_; }
  uint32_t status_flags() const { return status_flags_; }  // of the last SEQUENCE
  const ClientOptions& options() const { return options_; }
  uint32_t minor() const { return options_.minor; }

  // --- names (client_files.cc) ---
  Answer<Fh> Root();
  Answer<Fh> Lookup(const Fh& directory, std::string_view name);
  Answer<Fh> LookupParent(const Fh& directory);
  Answer<Fh> Walk(std::string_view path);  // "a/b/c" from the root
  Answer<Fh> Mkdir(const Fh& directory, std::string_view name, const SetAttributes& set = {});
  Answer<Fh> Symlink(const Fh& directory, std::string_view name, std::string_view target);
  Answer<Fh> MakeNode(const Fh& directory, std::string_view name, nfs4::nfs_ftype4 type,
                      const nfs4::specdata4& device = {});
  Answer<std::string> Readlink(const Fh& symlink);
  nfsstat4 Remove(const Fh& directory, std::string_view name);
  nfsstat4 Rename(const Fh& from, std::string_view name, const Fh& to, std::string_view new_name);
  nfsstat4 Link(const Fh& file, const Fh& directory, std::string_view name);
  Answer<Attributes> GetAttributes(const Fh& file, const xdr::Bitmap& wanted = UsualAttributes());
  nfsstat4 SetAttributesOf(const Fh& file, const SetAttributes& set, const stateid4& state = {});
  Answer<uint32_t> Access(const Fh& file, uint32_t wanted = 0x3f);
  Answer<DirectoryPage> ReadDirectory(const Fh& directory, uint64_t cookie,
                                      const nfs4::verifier4& verifier, uint32_t bytes_max,
                                      const xdr::Bitmap& wanted = {});
  Answer<std::vector<DirectoryEntry>> ReadAllOf(const Fh& directory, uint32_t bytes_max = 32768,
                                                const xdr::Bitmap& wanted = {});

  // --- open files and locks (client_state.cc) ---
  Answer<OpenFile> Open(const Fh& directory, std::string_view name,
                        const OpenRequest& request = {});
  // OPEN with any claim; the current file handle is `fh`, a directory or a file.
  Answer<OpenFile> OpenClaim(const Fh& fh, const nfs4::open_claim4& claim,
                             const OpenRequest& request);
  Answer<OpenFile> Create(const Fh& directory, std::string_view name, uint32_t mode = 0644);
  nfsstat4 Close(OpenFile& file);
  nfsstat4 ReturnDelegation(const Fh& fh, const stateid4& delegation);
  // TEST_STATEID of one (4.1).
  nfsstat4 TestState(const stateid4& state);
  nfsstat4 Downgrade(OpenFile& file, uint32_t access, uint32_t deny);
  Answer<ReadAnswer> Read(const Fh& fh, const stateid4& state, uint64_t offset, uint32_t count);
  Answer<WriteAnswer> Write(const Fh& fh, const stateid4& state, uint64_t offset, xdr::Opaque data,
                            nfs4::stable_how4 stable = nfs4::FILE_SYNC4);
  Answer<nfs4::verifier4> Commit(const Fh& fh, uint64_t offset = 0, uint32_t count = 0);
  // The first lock of `owner` on that file, and a further one.
  Answer<LockState> Lock(OpenFile& file, const std::string& owner, nfs4::nfs_lock_type4 type,
                         uint64_t offset, uint64_t length, bool reclaim = false);
  nfsstat4 LockMore(const OpenFile& file, LockState& lock, nfs4::nfs_lock_type4 type,
                    uint64_t offset, uint64_t length);
  nfsstat4 Unlock(const OpenFile& file, LockState& lock, uint64_t offset, uint64_t length);
  // NFS4_OK: the lock would be given; NFS4ERR_DENIED: `value` says by whom it is not.
  Answer<Conflict> TestLock(const Fh& fh, const std::string& owner, nfs4::nfs_lock_type4 type,
                            uint64_t offset, uint64_t length);
  const Conflict& last_conflict() const { return conflict_; }  // of the last Lock that was denied
  nfsstat4 FreeState(const stateid4& state);                   // 4.1
  nfsstat4 ReleaseLockOwner(const std::string& owner);         // 4.0
  // --- 4.2: sparse files, copies, extended attributes (client_42.cc) ---
  nfsstat4 Allocate(const Fh& fh, const stateid4& state, uint64_t offset, uint64_t length);
  nfsstat4 Deallocate(const Fh& fh, const stateid4& state, uint64_t offset, uint64_t length);
  Answer<nfs4::seek_res4> Seek(const Fh& fh, const stateid4& state, uint64_t offset,
                               nfs4::data_content4 what);
  Answer<ReadPlusAnswer> ReadPlus(const Fh& fh, const stateid4& state, uint64_t offset,
                                  uint32_t count);
  nfsstat4 Clone(const OpenFile& from, const OpenFile& to, uint64_t from_offset, uint64_t to_offset,
                 uint64_t length);
  Answer<CopyAnswer> Copy(const OpenFile& from, const OpenFile& to, uint64_t from_offset,
                          uint64_t to_offset, uint64_t length, bool synchronous = true);
  Answer<nfs4::OFFLOAD_STATUS4resok> OffloadStatus(const Fh& to, const stateid4& job);
  nfsstat4 OffloadCancel(const Fh& to, const stateid4& job);
  Answer<std::string> GetXattr(const Fh& file, std::string_view name);
  Answer<nfs4::change_info4> SetXattr(const Fh& file, std::string_view name, std::string_view value,
                                      nfs4::setxattr_option4 option = nfs4::SETXATTR4_EITHER);
  Answer<XattrPage> ListXattrs(const Fh& file, uint64_t cookie = 0, uint32_t bytes_max = 65536);
  Answer<nfs4::change_info4> RemoveXattr(const Fh& file, std::string_view name);
  // The sequence id that an owner's next request carries (4.0; 0 in 4.1).
  uint32_t OwnerSequence(const std::string& owner) const;

 private:
  explicit Client(const ClientOptions& options) : options_(options) {}
  CompoundReply Exchange(uint32_t minor, const nfs4::SEQUENCE4args* sequence, Compound& compound);
  Answer<Fh> FhOf(Compound& compound);  // adds GETFH and runs
  Answer<OpenFile> ConfirmOpen(OpenFile file);
  // An owner's sequence id after a request that used it (RFC 7530 section 9.1.7).
  void CountOwner(const std::string& owner, nfsstat4 status);

  const ClientOptions options_;
  std::unique_ptr<CallbackProgram> callbacks_ = std::make_unique<CallbackProgram>();
  std::unique_ptr<CallbackListener> listener_;  // 4.0 with callbacks
  std::unique_ptr<RpcConnection> connection_;
  uint64_t client_id_ = 0;
  uint32_t session_sequence_ = 0;  // for CREATE_SESSION
  nfs4::sessionid4 session_id_{};
  nfs4::channel_attrs4 fore_;
  uint32_t status_flags_ = 0;
  std::map<uint32_t, uint32_t> slots_;          // slot -> last sequence id
  std::map<std::string, uint32_t> owner_next_;  // 4.0
  Conflict conflict_;
};

inline xdr::Opaque AsOpaque(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string AsText(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace tarn::nfs_client
