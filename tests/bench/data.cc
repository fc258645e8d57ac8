#include <random>

#include "tests/bench/tasks.h"
#include "tests/bench/workloads.h"

namespace tarn::bench {
namespace {

using namespace nfs4;
using nfs_client::Bytes;
using nfs_client::Client;
using nfs_client::Compound;

class Data : public Workload {
 public:
  Data(const WorkloadOptions& options, uint32_t thread, bool write, bool random)
      : options_(options),
        thread_(thread),
        write_(write),
        random_(random),
        tree_(options),
        dice_(thread) {
    buffer_.resize(options.io_bytes);
    for (std::byte& byte : buffer_) byte = static_cast<std::byte>(dice_());
  }
  bool Prepare(Client& client) override {
    if (!tree_.Open(client, true)) return false;
    auto file = client.Create(tree_.top(), "data-" + std::to_string(thread_));
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
    return std::make_unique<OneCompound>([this, at](Compound& c) { Put(c, at); },
                                         options_.io_bytes);
  }
  bool Finish(Client& client) override {
    if (write_ && !options_.sync && !client.Commit(file_.fh).ok()) return false;
    return client.Close(file_) == NFS4_OK;
  }

 private:
  void Put(Compound& c, uint64_t at) const {
    c.Put(file_.fh);
    if (write_) {
      c.Add(OP_WRITE, WRITE4args{.stateid = file_.state,
                                 .offset = at,
                                 .stable = options_.sync ? FILE_SYNC4 : UNSTABLE4,
                                 .data = buffer_});
    } else {
      c.Add(OP_READ, READ4args{.stateid = file_.state, .offset = at, .count = options_.io_bytes});
    }
  }

  const WorkloadOptions options_;
  const uint32_t thread_;
  const bool write_;
  const bool random_;
  Tree tree_;
  std::mt19937_64 dice_;
  Bytes buffer_;
  nfs_client::OpenFile file_;
  uint64_t piece_ = 0;
};

}  // namespace

std::unique_ptr<Workload> MakeData(const WorkloadOptions& options, uint32_t thread, bool write,
                                   bool random) {
  return std::make_unique<Data>(options, thread, write, random);
}

}  // namespace tarn::bench
