#include "tests/bench/runner.h"

#include <algorithm>
#include <barrier>
#include <ctime>
#include <thread>

namespace tarn::bench {
namespace {

using Steady = std::chrono::steady_clock;
using nfs_client::Client;
using nfs_client::Compound;

// One slot of the session, and the task that has it.
struct Slot {
  std::unique_ptr<Task> task;
  Steady::time_point begun;
};

class ThreadRun {
 public:
  ThreadRun(const RunOptions& options, Client& client, Workload& workload)
      : duration_(options.duration),
        client_(client),
        workload_(workload),
        channel_(client, options.depth),
        slots_(options.depth) {}

  Totals Go() {
    begin_ = Steady::now();
    now_ = begin_;
    for (uint32_t slot = 0; slot < slots_.size() && totals_.ok; ++slot) Begin(slot);
    Reply reply;
    while (under_way_ > 0 && totals_.ok) {
      bool waited = !channel_.HasReply();
      if (!channel_.Receive(reply)) {
        Fail(channel_.problem());
        break;
      }
      if (waited) now_ = Steady::now();  // what came with one system call came at one time
      --under_way_;
      if (Step(reply.slot, &reply)) continue;
      if (duration_.count() == 0 || now_ - begin_ < duration_) Begin(reply.slot);
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
    slots_[slot].begun = now_;
    Step(slot, nullptr);
  }
  // True while the task goes on.
  bool Step(uint32_t slot, const Reply* reply) {
    Slot& s = slots_[slot];
    Compound compound;
    switch (s.task->Step(reply, compound)) {
      case Task::Next::kSend:
        channel_.Post(slot, compound);
        ++under_way_;
        return true;
      case Task::Next::kDone: {
        auto took = std::chrono::duration_cast<std::chrono::microseconds>(now_ - s.begun);
        totals_.done.push_back({static_cast<uint32_t>(took.count()),
                                std::chrono::duration<float>(now_ - begin_).count()});
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

  const std::chrono::milliseconds duration_;
  Client& client_;
  Workload& workload_;
  Channel channel_;
  std::vector<Slot> slots_;
  Steady::time_point begin_;
  Steady::time_point now_;
  uint32_t under_way_ = 0;
  Totals totals_;
};

double ProcessorSeconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

void RunThread(const RunOptions& options, Workload& workload, uint32_t number,
               std::barrier<>& ready, Totals& totals) {
  nfs_client::ClientOptions with = options.client;
  with.owner += "-" + std::to_string(number);
  with.slots = options.depth + 1;
  auto client = Client::Mount(with);
  bool can = client.ok() && (*client)->fore_channel().ca_maxrequests > options.depth &&
             workload.Prepare(**client);
  ready.arrive_and_wait();
  if (can) {
    totals = ThreadRun(options, **client, workload).Go();
    return;
  }
  totals.ok = false;
  totals.problem = "cannot mount or prepare: " + std::string(Name(client.status));
}

}  // namespace

uint32_t Totals::Percentile(double of) const {
  if (done.empty()) return 0;
  std::vector<uint32_t> sorted;
  sorted.reserve(done.size());
  for (const Done& task : done) sorted.push_back(task.took);
  auto at = sorted.begin() + static_cast<ptrdiff_t>(of * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

double Totals::TenthPerSecond(bool last) const {
  size_t tenth = done.size() / 10;
  if (tenth == 0) return 0;
  double took = last ? done.back().at - done[done.size() - 1 - tenth].at : done[tenth].at;
  return static_cast<double>(tenth) / std::max(took, 1e-6);
}

Totals Run(const RunOptions& options, const MakeWorkload& make) {
  std::vector<Totals> parts(options.connections);
  std::vector<std::unique_ptr<Workload>> workloads;
  std::vector<std::thread> threads;
  std::barrier ready(static_cast<ptrdiff_t>(options.connections) + 1);
  for (uint32_t i = 0; i < options.connections; ++i) {
    workloads.push_back(make(i));
    threads.emplace_back(RunThread, std::cref(options), std::ref(*workloads[i]), i, std::ref(ready),
                         std::ref(parts[i]));
  }
  ready.arrive_and_wait();
  auto begin = Steady::now();
  double used = ProcessorSeconds();
  for (std::thread& thread : threads) thread.join();
  Totals all;
  all.seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  all.client_processor_seconds = ProcessorSeconds() - used;
  for (Totals& part : parts) {
    if (!part.ok) {
      all.ok = false;
      all.problem = part.problem;
    }
    all.operations += part.operations;
    all.bytes += part.bytes;
    all.done.insert(all.done.end(), part.done.begin(), part.done.end());
  }
  std::sort(all.done.begin(), all.done.end(),
            [](const Totals::Done& a, const Totals::Done& b) { return a.at < b.at; });
  return all;
}

}  // namespace tarn::bench
