#include "tests/bench/runner.h"

#include <algorithm>
#include <barrier>
#include <thread>

namespace tarn::bench {
namespace {

using Steady = std::chrono::steady_clock;
using nfs_client::Client;
using nfs_client::Compound;
using nfs_client::CompoundReply;

// One slot of the session, and the task that has it.
struct Slot {
  std::unique_ptr<Task> task;
  Compound compound;  // what it points into is read while it is sent
  Steady::time_point begun;
};

class ThreadRun {
 public:
  ThreadRun(const RunOptions& options, Client& client, Workload& workload)
      : options_(options), client_(client), workload_(workload), slots_(options.depth) {}

  Totals Go(Steady::time_point end) {
    for (uint32_t slot = 0; slot < slots_.size() && totals_.ok; ++slot) Begin(slot);
    while (under_way_ > 0 && totals_.ok) {
      auto reply = client_.connection().Receive();
      if (!reply.ok()) {
        Fail(reply.error().ToString());
        break;
      }
      uint32_t slot = reply->xid % options_.depth;
      --under_way_;
      CompoundReply compound(std::move(*reply), true);
      if (Step(slot, &compound)) continue;
      if (options_.duration.count() == 0 || Steady::now() < end) Begin(slot);
    }
    if (totals_.ok && !workload_.Finish(client_)) Fail("the workload could not finish");
    return std::move(totals_);
  }

 private:
  void Fail(std::string why) {
    totals_.ok = false;
    totals_.problem = std::move(why);
  }
  void Begin(uint32_t slot) {
    slots_[slot].task = workload_.NextTask();
    if (!slots_[slot].task) return;
    slots_[slot].begun = Steady::now();
    Step(slot, nullptr);
  }
  // True while the task goes on.
  bool Step(uint32_t slot, const CompoundReply* reply) {
    Slot& s = slots_[slot];
    s.compound = Compound();
    switch (s.task->Step(reply, s.compound)) {
      case Task::Next::kSend:
        Send(slot);
        return true;
      case Task::Next::kDone: {
        auto took = std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - s.begun);
        totals_.microseconds.push_back(static_cast<uint32_t>(took.count()));
        totals_.operations += s.task->operations();
        totals_.bytes += s.task->bytes();
        return false;
      }
      case Task::Next::kFailed:
        Fail("the server answered " + std::string(Name(reply->status)));
        return false;
    }
    return false;
  }
  void Send(uint32_t slot) {
    Slot& s = slots_[slot];
    nfs4::SEQUENCE4args sequence = client_.NextSequence(slot, false);
    xdr::Encoder head = s.compound.Head(1, &sequence);
    uint32_t xid = (client_.connection().NextXid() / options_.depth + 1) * options_.depth + slot;
    auto sent = client_.connection().Send(xid, nfs4::NFSPROC4_COMPOUND, {&head, &s.compound.ops()});
    if (!sent.ok()) return Fail(sent.error().ToString());
    ++under_way_;
  }

  const RunOptions& options_;
  Client& client_;
  Workload& workload_;
  std::vector<Slot> slots_;
  uint32_t under_way_ = 0;
  Totals totals_;
};

}  // namespace

uint32_t Totals::Percentile(double of) const {
  if (microseconds.empty()) return 0;
  auto at = static_cast<size_t>(of * static_cast<double>(microseconds.size() - 1));
  return microseconds[at];
}

Totals Run(const RunOptions& options, const MakeWorkload& make) {
  std::vector<Totals> parts(options.connections);
  std::vector<std::thread> threads;
  std::barrier ready(static_cast<ptrdiff_t>(options.connections) + 1);
  for (uint32_t i = 0; i < options.connections; ++i) {
    threads.emplace_back([&, i] {
      nfs_client::ClientOptions with = options.client;
      with.owner += "-" + std::to_string(i);
      with.slots = options.depth;
      auto client = Client::Mount(with);
      auto workload = make(i);
      bool can = client.ok() && (*client)->fore_channel().ca_maxrequests >= options.depth &&
                 workload->Prepare(**client);
      ready.arrive_and_wait();
      if (can) {
        parts[i] = ThreadRun(options, **client, *workload).Go(Steady::now() + options.duration);
      } else {
        parts[i].ok = false;
        parts[i].problem = "cannot mount or prepare: " + std::string(Name(client.status));
      }
    });
  }
  ready.arrive_and_wait();
  auto begin = Steady::now();
  for (std::thread& thread : threads) thread.join();
  Totals all;
  all.seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  for (Totals& part : parts) {
    if (!part.ok) {
      all.ok = false;
      all.problem = part.problem;
    }
    all.operations += part.operations;
    all.bytes += part.bytes;
    all.microseconds.insert(all.microseconds.end(), part.microseconds.begin(),
                            part.microseconds.end());
  }
  std::sort(all.microseconds.begin(), all.microseconds.end());
  return all;
}

}  // namespace tarn::bench
