#include "tests/bench/workloads.h"

#include <random>

#include "tests/bench/tasks.h"

namespace tarn::bench {
namespace {

using namespace nfs4;
using nfs_client::Bytes;
using nfs_client::Client;
using nfs_client::Compound;
using nfs_client::Fh;

// What the Linux client does for open(O_CREAT), write, close.
class CreateFile : public Task {
 public:
  CreateFile(const Fh& directory, std::string name, xdr::Opaque data)
      : directory_(directory), name_(std::move(name)), data_(data) {}
  Next Step(const Reply* reply, Compound& compound) override {
    if (reply != nullptr && reply->status != NFS4_OK) return Next::kFailed;
    if (reply == nullptr) {
      compound.OpenNew(directory_, "bench", name_);
      return Next::kSend;
    }
    if (fh_.empty()) {
      nfs_client::CompoundReply opened = reply->Parse();
      state_ = opened.Get<OPEN4res>(1).resok4.stateid;
      xdr::Opaque fh = opened.Get<GETFH4res>(2).resok4.object;
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
  Next Step(const Reply* reply, Compound& compound) override {
    if (reply != nullptr) {
      if (reply->status != NFS4_OK) return Next::kFailed;
      nfs_client::CompoundReply page = reply->Parse();
      const READDIR4resok& ok = page.Get<READDIR4res>(1).resok4;
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

using NamedOperation = void (*)(Compound&, const std::string& name);

void PutStat(Compound& c, const std::string& name) {
  c.Lookup(name).GetFh().GetAttr(nfs_client::UsualAttributes());
}
void PutLookup(Compound& c, const std::string& name) {
  c.Lookup(name).GetFh();
}
void PutRemove(Compound& c, const std::string& name) {
  c.Add(OP_REMOVE, REMOVE4args{.target = name});
}
void PutRemoveDirectory(Compound& c, const std::string& name) {
  PutRemove(c, "d" + name);
}
void PutMkdir(Compound& c, const std::string& name) {
  nfs_client::SetAttributes set;
  set.mode = 0755;
  nfs_client::EncodedAttributes attributes(set);
  std::string own = "d" + name;
  CREATE4args create{.objtype = {.type = NF4DIR}, .objname = own, .createattrs = {}};
  create.createattrs = attributes.view();
  c.Add(OP_CREATE, create).GetFh().GetAttr(nfs_client::UsualAttributes());
}
void PutRename(Compound& c, const std::string& from, const std::string& to) {
  c.SaveFh().Add(OP_RENAME, RENAME4args{.oldname = from, .newname = to});
}
void PutThere(Compound& c, const std::string& name) {
  PutRename(c, name, "r" + name);
}
void PutBack(Compound& c, const std::string& name) {
  PutRename(c, "r" + name, name);
}

// Something with each file's name, once, in the file's directory. A thread has the files whose
// numbers are its own, modulo the number of connections.
class EachName : public Workload {
 public:
  EachName(const WorkloadOptions& options, uint32_t thread, bool make, NamedOperation put)
      : options_(options), tree_(options), make_(make), put_(put), next_(thread) {}
  bool Prepare(Client& client) override { return tree_.Open(client, make_); }
  std::unique_ptr<Task> NextTask() override {
    if (next_ >= options_.files) return nullptr;
    uint64_t file = std::exchange(next_, next_ + options_.connections);
    return TaskOf(file);
  }

 protected:
  virtual std::unique_ptr<Task> TaskOf(uint64_t file) {
    return std::make_unique<OneCompound>([this, file](Compound& c) {
      c.Put(tree_.DirectoryOf(file));
      put_(c, NameOf(file));
    });
  }
  static std::string NameOf(uint64_t file) { return "file-" + std::to_string(file); }

  const WorkloadOptions options_;
  Tree tree_;

 private:
  const bool make_;
  const NamedOperation put_;
  uint64_t next_;
};

class Creating : public EachName {
 public:
  Creating(const WorkloadOptions& options, uint32_t thread)
      : EachName(options, thread, true, nullptr), data_(options.small_bytes, std::byte{0x5a}) {}

 protected:
  std::unique_ptr<Task> TaskOf(uint64_t file) override {
    return std::make_unique<CreateFile>(tree_.DirectoryOf(file), NameOf(file), data_);
  }

 private:
  const Bytes data_;
};

// Something with random files' names, for a while.
class RandomName : public EachName {
 public:
  RandomName(const WorkloadOptions& options, uint32_t thread, NamedOperation put)
      : EachName(options, thread, false, put), dice_(thread) {}
  std::unique_ptr<Task> NextTask() override { return TaskOf(dice_() % options_.files); }

 private:
  std::mt19937_64 dice_;
};

class OfDirectory : public Workload {
 public:
  explicit OfDirectory(const WorkloadOptions& options) : tree_(options) {}
  bool Prepare(Client& client) override { return tree_.Open(client, true); }

 protected:
  Tree tree_;
};

class Listing : public OfDirectory {
 public:
  using OfDirectory::OfDirectory;
  std::unique_ptr<Task> NextTask() override {
    return std::make_unique<ListDirectory>(tree_.DirectoryOf(0));
  }
};

class Getattr : public OfDirectory {
 public:
  using OfDirectory::OfDirectory;
  std::unique_ptr<Task> NextTask() override {
    return std::make_unique<OneCompound>(
        [this](Compound& c) { c.Put(tree_.top()).GetAttr(nfs_client::UsualAttributes()); });
  }
};

// Found, or made; another connection may make it at the same time.
bool EnsureDirectory(Client& client, const Fh& parent, const std::string& name, bool make,
                     Fh& directory) {
  auto found = client.Lookup(parent, name);
  if (make && found.status == NFS4ERR_NOENT) {
    (void)client.Mkdir(parent, name);
    found = client.Lookup(parent, name);
  }
  directory = *found;
  return found.ok();
}

}  // namespace

bool Tree::Open(Client& client, bool make) {
  auto parent = client.Walk(options_.path);
  if (!parent.ok() || !EnsureDirectory(client, *parent, options_.directory, make, top_)) {
    return false;
  }
  uint64_t per = options_.files_per_directory;
  if (per == 0) {
    directories_ = {top_};
    return true;
  }
  directories_.resize((options_.files + per - 1) / per);
  for (size_t i = 0; i < directories_.size(); ++i) {
    if (!EnsureDirectory(client, top_, "d" + std::to_string(i), make, directories_[i]))
      return false;
  }
  return true;
}

const std::vector<WorkloadName>& WorkloadNames() {
  static const std::vector<WorkloadName> names{
      {"getattr", "GETATTR of a directory", true},
      {"create", "OPEN with create, WRITE of --small-bytes with FILE_SYNC4, CLOSE", false},
      {"stat", "LOOKUP and GETATTR of what create made", true},
      {"lookup", "LOOKUP of what create made", true},
      {"list", "READDIR with attributes of it all, again and again", true},
      {"rename", "RENAME of each", false},
      {"renameback", "RENAME of each to what it was called before", false},
      {"remove", "REMOVE of each", false},
      {"mkdir", "CREATE of directories", false},
      {"rmdir", "REMOVE of these", false},
      {"write", "sequential WRITE, then COMMIT", false},
      {"read", "sequential READ", false},
      {"randwrite", "WRITE at random places, then COMMIT", true},
      {"randread", "READ at random places", true},
  };
  return names;
}

std::unique_ptr<Workload> Make(std::string_view name, const WorkloadOptions& options,
                               uint32_t thread) {
  auto each = [&](NamedOperation put, bool make = false) {
    return std::make_unique<EachName>(options, thread, make, put);
  };
  if (name == "getattr") return std::make_unique<Getattr>(options);
  if (name == "create") return std::make_unique<Creating>(options, thread);
  if (name == "stat") return std::make_unique<RandomName>(options, thread, &PutStat);
  if (name == "lookup") return std::make_unique<RandomName>(options, thread, &PutLookup);
  if (name == "list") return std::make_unique<Listing>(options);
  if (name == "rename") return each(&PutThere);
  if (name == "renameback") return each(&PutBack);
  if (name == "remove") return each(&PutRemove);
  if (name == "mkdir") return each(&PutMkdir, true);
  if (name == "rmdir") return each(&PutRemoveDirectory);
  if (name == "write") return MakeData(options, thread, true, false);
  if (name == "read") return MakeData(options, thread, false, false);
  if (name == "randwrite") return MakeData(options, thread, true, true);
  if (name == "randread") return MakeData(options, thread, false, true);
  return nullptr;
}

}  // namespace tarn::bench
