#include "server/nfs4/state/copy_jobs.h"

#include <algorithm>

#include "server/nfs4/state/callback.h"
#include "server/nfs4/status.h"

namespace tarn::nfs4 {

CopyJobs::~CopyJobs() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (auto& thread : threads_) thread.join();
}

std::optional<stateid4> CopyJobs::Start(Request request) {
  auto job = std::make_shared<Job>();
  vfs::FileSystem* engine = request.target_file.exported->engine;
  if (!engine->Pin(request.source.file).ok()) return std::nullopt;
  job->source_pin = Pin(engine, request.source.file);
  if (!engine->Pin(request.target.file).ok()) return std::nullopt;
  job->target_pin = Pin(engine, request.target.file);
  // The slot of the COPY goes on with other requests, so a part of the job is none of its changes.
  request.caller.replay.reset();
  job->request = std::move(request);
  std::lock_guard lock(mutex_);
  ForgetEnded();
  const Client* client = job->request.client.get();
  auto of_client = std::count_if(jobs_.begin(), jobs_.end(), [client](const auto& one) {
    return one.second->request.client.get() == client;
  });
  bool full = jobs_.size() >= kJobsMax || static_cast<size_t>(of_client) >= kJobsOfClient;
  if (full || stop_) return std::nullopt;
  do {
    ++last_number_;
  } while (jobs_.contains(last_number_));
  job->id = MakeStateid({CopyName(client->id), last_number_}, 1);
  jobs_.emplace(last_number_, job);
  ready_.push_back(job);
  while (threads_.size() < kThreads) threads_.emplace_back([this] { Work(); });
  work_.notify_one();
  return job->id;
}

CopyJobs::JobPtr CopyJobs::FindJob(const Client& client, const stateid4& id,
                                   const CurrentFile& target) {
  StateName name = NameOf(id);
  if (name.client != CopyName(client.id) || id.seqid > 1) return nullptr;
  auto found = jobs_.find(name.state);
  bool same = found != jobs_.end() && found->second->request.client.get() == &client &&
              KeyOf(found->second->request.target_file) == KeyOf(target);
  return same ? found->second : nullptr;
}

nfsstat4 CopyJobs::Find(const Client& client, const stateid4& id, const CurrentFile& target,
                        Progress& progress) {
  std::lock_guard lock(mutex_);
  JobPtr job = FindJob(client, id, target);
  if (!job) return NFS4ERR_BAD_STATEID;
  progress = {.copied = job->copied, .end = job->end};
  return NFS4_OK;
}

nfsstat4 CopyJobs::Cancel(const Client& client, const stateid4& id, const CurrentFile& target) {
  std::lock_guard lock(mutex_);
  JobPtr job = FindJob(client, id, target);
  if (!job) return NFS4ERR_BAD_STATEID;
  job->cancelled = true;
  jobs_.erase(NameOf(id).state);
  return NFS4_OK;
}

void CopyJobs::Tick() {
  std::lock_guard lock(mutex_);
  ForgetEnded();
}

void CopyJobs::ForgetEnded() {
  std::chrono::nanoseconds now = clock_.Monotonic();
  std::erase_if(jobs_, [now](const auto& one) {
    const Job& job = *one.second;
    return job.end && (*job.told || job.request.client->dead || now - job.ended_at > kKept);
  });
}

void CopyJobs::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stop_ || !ready_.empty(); });
    if (stop_) return;
    JobPtr job = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    bool ended = Step(*job);
    if (ended && !job->cancelled_seen) Tell(*job);
    lock.lock();
    if (!ended) ready_.push_back(std::move(job));
  }
}

bool CopyJobs::Step(Job& job) {
  {
    std::lock_guard lock(mutex_);
    job.cancelled_seen = job.cancelled || job.request.client->dead;
  }
  // Of one that is cancelled nobody asks any more.
  nfsstat4 status = job.cancelled_seen ? NFS4ERR_OFFLOAD_DENIED : job.request.may_go_on();
  uint64_t copied = 0;
  if (status == NFS4_OK) {
    vfs::DataPlace source = job.request.source;
    vfs::DataPlace target = job.request.target;
    source.offset += job.copied;
    target.offset += job.copied;
    vfs::FileSystem& engine = *job.request.target_file.exported->engine;
    auto part = engine.Copy(job.request.caller, source, target, job.request.length - job.copied);
    status = ToStatus(part);
    copied = part.ok() ? *part : 0;
  }
  // Nothing more: all of it, or the source got shorter meanwhile.
  bool ended = status != NFS4_OK || copied == 0 || job.copied + copied == job.request.length;
  if (ended) {
    job.source_pin = Pin();
    job.target_pin = Pin();
  }
  std::lock_guard lock(mutex_);
  job.copied += copied;
  if (ended) {
    job.end = status;
    job.ended_at = clock_.Monotonic();
  }
  return ended;
}

void CopyJobs::Tell(const Job& job) {
  CB_OFFLOAD4args args{.coa_fh = job.request.target_handle, .coa_stateid = job.id};
  args.coa_offload_info.coa_status = *job.end;
  args.coa_offload_info.coa_bytes_copied = job.copied;
  args.coa_offload_info.coa_resok4 = {.wr_callback_id = {},
                                      .wr_count = job.copied,
                                      .wr_committed = FILE_SYNC4,
                                      .wr_writeverf = job.request.write_verifier};
  // Holds no job: the client that it belongs to holds what waits for an answer.
  auto done = [told = job.told](const CallbackAnswer& answer) { *told = answer.status == NFS4_OK; };
  job.request.client->callbacks->Send(OP_CB_OFFLOAD, args, done, job.request.callback);
}

}  // namespace tarn::nfs4
