// Asynchronous copies (RFC 7862 section 4): COPY answers at once with a stateid, and the copy goes
// on in the background. The client is told of its end by CB_OFFLOAD, asks for it by OFFLOAD_STATUS,
// or gives it up by OFFLOAD_CANCEL.
//
// A job belongs to its client and ends with it, and when the rights that it was begun with are
// taken away; it does not survive a restart, after which its stateid is unknown and the client
// copies again. It is known until the client has answered CB_OFFLOAD, or for kKept after its end.
// What is copied is on stable storage bit by bit. Threads: any; the jobs run in turns on threads of
// their own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "server/nfs4/state/file_state.h"

namespace tarn::nfs4 {

class CopyJobs {
 public:
  static constexpr size_t kThreads = 2;             // made with the first job
  static constexpr size_t kJobsMax = 256;           // of all clients, finished ones too
  static constexpr size_t kJobsOfClient = 16;       // of one client
  static constexpr std::chrono::seconds kKept{90};  // a finished one that the client may ask for

  struct Request {
    std::shared_ptr<Client> client;
    CurrentFile target_file;
    std::vector<std::byte> target_handle;
    vfs::Caller caller;
    vfs::DataPlace source;
    vfs::DataPlace target;
    uint64_t length = 0;  // not 0
    verifier4 write_verifier{};
    CallbackOptions callback;
    // Asked before each part, from any thread: not NFS4_OK ends the job with that.
    std::function<nfsstat4()> may_go_on;
  };
  struct Progress {
    uint64_t copied = 0;
    std::optional<nfsstat4> end;  // once it has ended
  };

  explicit CopyJobs(const Clock& clock) : clock_(clock) {}
  ~CopyJobs();
  CopyJobs(const CopyJobs&) = delete;
  CopyJobs& operator=(const CopyJobs&) = delete;

  // The job's stateid. Nothing when there are too many, or a file cannot be pinned.
  std::optional<stateid4> Start(Request request);
  // NFS4ERR_BAD_STATEID for none of that client with that target.
  nfsstat4 Find(const Client& client, const stateid4& id, const CurrentFile& target,
                Progress& progress);
  nfsstat4 Cancel(const Client& client, const stateid4& id, const CurrentFile& target);
  // Forgets what ended long ago or whose client has gone. About once a second.
  void Tick();

 private:
  struct Job {
    Request request;
    stateid4 id;
    Pin source_pin;
    Pin target_pin;
    uint64_t copied = 0;  // guarded by mutex_, as is what follows
    bool cancelled = false;
    bool cancelled_seen = false;  // of the thread that runs it only
    std::optional<nfsstat4> end;
    std::chrono::nanoseconds ended_at{};
    // By the client's answer to CB_OFFLOAD. Not guarded.
    std::shared_ptr<std::atomic<bool>> told = std::make_shared<std::atomic<bool>>(false);
  };
  using JobPtr = std::shared_ptr<Job>;

  void Work();
  // One turn: copies a part. True when the job has ended.
  bool Step(Job& job);
  static void Tell(const Job& job);
  // With mutex_ held:
  void ForgetEnded();
  JobPtr FindJob(const Client& client, const stateid4& id, const CurrentFile& target);

  const Clock& clock_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  bool stop_ = false;
  uint32_t last_number_ = 0;
  std::unordered_map<uint32_t, JobPtr> jobs_;
  std::deque<JobPtr> ready_;
  std::vector<std::thread> threads_;
};

}  // namespace tarn::nfs4
