#include "tests/bench/workloads.h"

#include <functional>
#include <random>

namespace tarn::bench {
namespace {

using namespace nfs4;
using nfs_client::AsOpaque;
using nfs_client::Bytes;
using nfs_client::Client;
using nfs_client::Compound;
using nfs_client::CompoundReply;
using nfs_client::Fh;

// A task of one compound.
class OneCompound : public Task {
 public:
  using Fill = std::function<void(Compound&)>;
  explicit OneCompound(Fill fill, uint64_t bytes = 0) : fill_(std::move(fill)), bytes_(bytes) {}
  Next Step(const CompoundReply* reply, Compound& compound) override {
    if (reply != nullptr) return reply->status == NFS4_OK ? Next::kDone : Next::kFailed;
    fill_(compound);
    return Next::kSend;
  }
  uint64_t bytes() const override { return bytes_; }

 private:
  Fill fill_;
  uint64_t bytes_;
};

// What the Linux client does for open(O_CREAT), write, close.
class CreateFile : public Task {
 public:
  CreateFile(const Fh& directory, std::string name, xdr::Opaque data)
      : directory_(directory), name_(std::move(name)), data_(data) {}
  Next Step(const CompoundReply* reply, Compound& compound) override {
    if (reply != nullptr && reply->status != NFS4_OK) return Next::kFailed;
    if (reply == nullptr) {
      Open(compound);
      return Next::kSend;
    }
    if (fh_.empty()) {
      state_ = reply->Get<OPEN4res>(1).resok4.stateid;
      xdr::Opaque fh = reply->Get<GETFH4res>(2).resok4.object;
      fh_.assign(fh.begin(), fh.end());
      if (!data_.empty()) {
        compound.Put(fh_).Add(
            OP_WRITE,
            WRITE4args{.stateid = state_, .offset = 0, .stable = FILE_SYNC4, .data = data_});
        return Next::kSend;
      }
    }
    if (closed_) return Next::kDone;
    closed_ = true;
    compound.Put(fh_).Add(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = state_});
    return Next::kSend;
  }
  uint64_t bytes() const override { return data_.size(); }

 private:
  void Open(Compound& compound) {
    nfs_client::SetAttributes set;
    set.mode = 0644;
    nfs_client::EncodedAttributes attributes(set);
    OPEN4args open{.seqid = 0,
                   .share_access = OPEN4_SHARE_ACCESS_BOTH,
                   .share_deny = 0,
                   .owner = {.clientid = 0, .owner = AsOpaque("bench")},
                   .openhow = {.opentype = OPEN4_CREATE, .how = {}},
                   .claim = {}};
    open.openhow.how.createattrs = attributes.view();
    open.claim.file = name_;
    compound.Put(directory_).Add(OP_OPEN, open).GetFh().GetAttr(nfs_client::UsualAttributes());
  }
  const Fh& directory_;
  const std::string name_;
  const xdr::Opaque data_;
  Fh fh_;
  stateid4 state_;
  bool closed_ = false;
};

// One whole directory, page by page; its entries are the operations.
class ListDirectory : public Task {
 public:
  explicit ListDirectory(const Fh& directory) : directory_(directory) {}
  Next Step(const CompoundReply* reply, Compound& compound) override {
    if (reply != nullptr) {
      if (reply->status != NFS4_OK) return Next::kFailed;
      const READDIR4resok& ok = reply->Get<READDIR4res>(1).resok4;
      entries_ += ok.reply.entries.size();
      if (ok.reply.eof || ok.reply.entries.empty()) return Next::kDone;
      cookie_ = ok.reply.entries.back().cookie;
      verifier_ = ok.cookieverf;
    }
    constexpr uint32_t kPageBytes = 128 * 1024;
    compound.Put(directory_)
        .Add(OP_READDIR, READDIR4args{.cookie = cookie_,
                                      .cookieverf = verifier_,
                                      .dircount = kPageBytes,
                                      .maxcount = kPageBytes,
                                      .attr_request = nfs_client::UsualAttributes()});
    return Next::kSend;
  }
  uint64_t operations() const override { return entries_; }

 private:
  const Fh& directory_;
  uint64_t cookie_ = 0;
  verifier4 verifier_{};
  uint64_t entries_ = 0;
};

// A directory of each connection's own, "bench-N", and numbered files in it.
class InDirectory : public Workload {
 public:
  InDirectory(const WorkloadOptions& options, uint32_t thread)
      : options_(options), thread_(thread), left_(options.files / options.connections) {}
  bool Prepare(Client& client) override {
    auto parent = client.Walk(options_.path);
    if (!parent.ok()) return false;
    std::string name = "bench-" + std::to_string(thread_);
    auto directory = client.Lookup(*parent, name);
    if (directory.status == NFS4ERR_NOENT) directory = client.Mkdir(*parent, name);
    directory_ = *directory;
    return directory.ok();
  }

 protected:
  // The next file's name, or an empty one after the last.
  std::string NextName() {
    if (left_ == 0) return {};
    return "file-" + std::to_string(--left_);
  }
  const WorkloadOptions options_;
  const uint32_t thread_;
  Fh directory_;
  uint64_t left_;
};

class Creating : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::unique_ptr<Task> NextTask() override {
    std::string name = NextName();
    if (name.empty()) return nullptr;
    data_.resize(options_.small_bytes, std::byte{0x5a});
    return std::make_unique<CreateFile>(directory_, name, data_);
  }

 private:
  Bytes data_;
};

class Statting : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::unique_ptr<Task> NextTask() override {
    std::string name = NextName();
    if (name.empty()) return nullptr;
    return std::make_unique<OneCompound>([this, name](Compound& c) {
      c.Put(directory_).Lookup(name).GetFh().GetAttr(nfs_client::UsualAttributes());
    });
  }
};

class Removing : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::unique_ptr<Task> NextTask() override {
    std::string name = NextName();
    if (name.empty()) return nullptr;
    return std::make_unique<OneCompound>([this, name](Compound& c) {
      c.Put(directory_).Add(OP_REMOVE, REMOVE4args{.target = name});
    });
  }
};

class Listing : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::unique_ptr<Task> NextTask() override {
    if (std::exchange(done_, true)) return nullptr;
    return std::make_unique<ListDirectory>(directory_);
  }

 private:
  bool done_ = false;
};

class Getattr : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::unique_ptr<Task> NextTask() override {
    return std::make_unique<OneCompound>(
        [this](Compound& c) { c.Put(directory_).GetAttr(nfs_client::UsualAttributes()); });
  }
};

// I/O on one file of the connection's own, opened once.
class Data : public InDirectory {
 public:
  Data(const WorkloadOptions& options, uint32_t thread, bool write, bool random)
      : InDirectory(options, thread), write_(write), random_(random), dice_(thread) {
    buffer_.resize(options.io_bytes);
    for (size_t i = 0; i < buffer_.size(); ++i) buffer_[i] = static_cast<std::byte>(dice_());
  }
  bool Prepare(Client& client) override {
    if (!InDirectory::Prepare(client)) return false;
    auto file = client.Create(directory_, "data");
    if (!file.ok()) return false;
    file_ = *file;
    auto size = client.GetAttributes(file_.fh, {FATTR4_SIZE});
    bool fill = (!write_ || random_) && size->size < options_.file_bytes;
    Bytes megabyte(1 << 20, std::byte{0x6b});
    for (uint64_t at = 0; fill && at < options_.file_bytes; at += megabyte.size()) {
      if (!client.Write(file_.fh, file_.state, at, megabyte, UNSTABLE4).ok()) return false;
    }
    return !fill || client.Commit(file_.fh).ok();
  }
  std::unique_ptr<Task> NextTask() override {
    uint64_t pieces = options_.file_bytes / options_.io_bytes;
    if (!random_ && piece_ == pieces) return nullptr;
    uint64_t at = (random_ ? dice_() % pieces : piece_++) * options_.io_bytes;
    if (!write_) {
      return std::make_unique<OneCompound>(
          [this, at](Compound& c) {
            c.Put(file_.fh).Add(
                OP_READ,
                READ4args{.stateid = file_.state, .offset = at, .count = options_.io_bytes});
          },
          options_.io_bytes);
    }
    return std::make_unique<OneCompound>(
        [this, at](Compound& c) {
          c.Put(file_.fh).Add(OP_WRITE, WRITE4args{.stateid = file_.state,
                                                   .offset = at,
                                                   .stable = options_.sync ? FILE_SYNC4 : UNSTABLE4,
                                                   .data = buffer_});
        },
        options_.io_bytes);
  }
  bool Finish(Client& client) override {
    if (write_ && !options_.sync && !client.Commit(file_.fh).ok()) return false;
    return client.Close(file_) == NFS4_OK;
  }

 private:
  const bool write_;
  const bool random_;
  std::mt19937_64 dice_;
  Bytes buffer_;
  nfs_client::OpenFile file_;
  uint64_t piece_ = 0;
};

}  // namespace

const std::vector<WorkloadName>& WorkloadNames() {
  static const std::vector<WorkloadName> names{
      {"getattr", "GETATTR of a directory"},
      {"create", "OPEN with create, WRITE of --small-bytes, CLOSE"},
      {"stat", "LOOKUP and GETATTR of what create made"},
      {"list", "READDIR with attributes of it all"},
      {"remove", "REMOVE of it all"},
      {"write", "sequential WRITE, then COMMIT"},
      {"read", "sequential READ"},
      {"randwrite", "WRITE at random places, then COMMIT"},
      {"randread", "READ at random places"},
  };
  return names;
}

std::unique_ptr<Workload> Make(std::string_view name, const WorkloadOptions& options,
                               uint32_t thread) {
  if (name == "getattr") return std::make_unique<Getattr>(options, thread);
  if (name == "create") return std::make_unique<Creating>(options, thread);
  if (name == "stat") return std::make_unique<Statting>(options, thread);
  if (name == "list") return std::make_unique<Listing>(options, thread);
  if (name == "remove") return std::make_unique<Removing>(options, thread);
  if (name == "write") return std::make_unique<Data>(options, thread, true, false);
  if (name == "read") return std::make_unique<Data>(options, thread, false, false);
  if (name == "randwrite") return std::make_unique<Data>(options, thread, true, true);
  if (name == "randread") return std::make_unique<Data>(options, thread, false, true);
  return nullptr;
}

}  // namespace tarn::bench
