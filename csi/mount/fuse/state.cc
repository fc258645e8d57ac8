#include "csi/mount/fuse/state.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "common/log.h"
#include "csi/mount/fuse/state_seqid.h"

namespace tarn::fuse {

namespace {

Verifier RandomVerifier() {
  std::random_device random;
  Verifier verifier;
  for (char& byte : verifier) byte = static_cast<char>(random());
  return verifier;
}

std::string UniqueName() {
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  std::random_device random;
  return fmt::format("tarn-fuse {} {} {:08x}{:08x}", host, getpid(), random(), random());
}

}  // namespace

State::State(Client& client, uint32_t lease_seconds)
    : client_(client),
      lease_seconds_(std::max(lease_seconds, 1U)),
      name_(UniqueName()),
      boot_(RandomVerifier()),
      renewer_([this] { RenewLoop(); }) {}

State::~State() {
  Stop();
}

void State::Stop() {
  {
    std::lock_guard lock(renew_mutex_);
    stopping_ = true;
  }
  renew_wake_.notify_all();
  if (renewer_.joinable()) renewer_.join();
}

void State::Suspect() {
  {
    std::lock_guard lock(renew_mutex_);
    suspect_ = true;
  }
  renew_wake_.notify_all();
}

Status State::EnsureClient(const Caller& caller) {
  {
    Shared shared;
    Status status = Enter(caller, shared);
    if (status != NFS4_OK || registered_) return status;
  }
  Alone alone;
  Status status = Enter(caller, alone);
  if (status != NFS4_OK) return status;
  return registered_ ? NFS4_OK : RegisterClient(caller);
}

Status State::UntilAnswered(const Caller& caller, BadSeqid bad_seqid,
                            const std::function<Status()>& attempt) {
  Backoff backoff;
  for (;;) {
    Status status = EnsureClient(caller);
    if (status != NFS4_OK) return status;
    uint64_t epoch = 0;
    {
      Shared shared;
      status = Enter(caller, shared);
      if (status != NFS4_OK) return status;
      epoch = epoch_;
      status = attempt();
    }
    bool bad = status == NFS4ERR_BAD_SEQID;
    if (IsLater(status) || (bad && bad_seqid == BadSeqid::kTryAgain)) {
      if (!client_.Pause(caller, backoff)) return client_.WhyNot();
    } else if (IsLost(status) || (bad && bad_seqid == BadSeqid::kRecover)) {
      status = Recover(caller, epoch);
      if (status != NFS4_OK) return status;
    } else {
      return status;
    }
  }
}

// Precondition: recovery_ is held alone.
Status State::RegisterClient(const Caller& caller) {
  Backoff backoff;
  Caller machine{{}, caller.pid};
  for (;;) {
    Results set = client_.Run(machine, Compound().SetClientId(name_, boot_));
    Results::ClientId id = set.SetClientId();
    Status status = set.status();
    if (status == NFS4_OK) {
      Results confirm = client_.Run(machine, Compound().SetClientIdConfirm(id.client, id.confirm));
      confirm.Op(OP_SETCLIENTID_CONFIRM);
      status = confirm.status();
    }
    if (status == NFS4_OK) {
      client_id_ = id.client;
      registered_ = true;
      ++epoch_;
      return NFS4_OK;
    }
    // STALE_CLIENTID: the server restarted between the two.
    if (!IsLost(status) && !IsLater(status)) return status;
    if (!client_.Pause(machine, backoff)) return client_.WhyNot();
  }
}

Status State::Recover(const Caller& caller, uint64_t epoch) {
  Alone alone;
  Status entered = Enter(caller, alone);
  if (entered != NFS4_OK) return entered;
  Backoff backoff;
  if (epoch == epoch_ && registered_) {
    // A server that still knows us did not restart: what it does not know is broken beyond repair,
    // and a new verifier makes it drop all of it (RFC 7530 section 16.33.5).
    Results renew = client_.Run(Caller{{}, caller.pid}, Compound().Renew(client_id_));
    renew.Op(OP_RENEW);
    if (renew.ok()) boot_ = RandomVerifier();
  }
  while (epoch == epoch_ || !registered_) {
    registered_ = false;
    Status status = RegisterClient(caller);
    if (status != NFS4_OK) return status;
    spdlog::info("client id {:x} is new; {} files with locks to reclaim", client_id_,
                 files_.size());
    for (auto& [handle, file] : files_) {
      status = ReclaimFile(caller, *file);
      if (status != NFS4_OK) break;
    }
    if (status == NFS4_OK) return status;
    if (!IsLost(status)) return status;
    epoch = epoch_;  // it restarted again
    if (!client_.Pause(caller, backoff)) return client_.WhyNot();
  }
  return NFS4_OK;
}

// Opens and locks again what was locked. A lock that somebody else has got meanwhile is lost: said
// in the log, as nobody can be told.
Status State::ReclaimFile(const Caller& caller, LockedFile& file) {
  Caller holder{file.credential, caller.pid};
  file.owner = OpenOwner{next_number_++, 1, epoch_};
  uint32_t access = file.access;
  file.access = 0;
  for (auto& [key, locker] : file.lockers) {
    locker.number = next_number_++;
    locker.seqid = 1;
    locker.known = false;
  }
  if (access == 0) return NFS4_OK;
  bool reclaim = true;
  Backoff backoff;
  Status status = NFS4_OK;
  for (;;) {
    status = OpenForLock(holder, file, access, reclaim);
    bool refused = status == NFS4ERR_NO_GRACE || status == NFS4ERR_RECLAIM_BAD ||
                   status == NFS4ERR_RECLAIM_CONFLICT;
    if (reclaim && refused) {
      reclaim = false;  // too late, or not known to it: as anybody may
    } else if (!IsLater(status)) {
      break;
    } else if (!client_.Pause(holder, backoff)) {
      return client_.WhyNot();
    }
  }
  if (status == NFS4_OK) status = ReclaimLocks(holder, file, reclaim);
  if (status == NFS4_OK || IsLost(status) || status == kStopped || status == kInterrupted) {
    return status;
  }
  spdlog::error("locks on \"{}\" are lost: {}", file.target.name, StatusName(status));
  file.lockers.clear();
  return NFS4_OK;
}

Status State::ReclaimLocks(const Caller& caller, LockedFile& file, bool reclaim) {
  for (auto& [key, locker] : file.lockers) {
    for (const LockRange& range : locker.held) {
      Backoff backoff;
      Status status = NFS4_OK;
      do {
        status = LockOnce(caller, file, locker, range, reclaim);
        if (status == NFS4ERR_NO_GRACE) status = LockOnce(caller, file, locker, range, false);
      } while (IsLater(status) && client_.Pause(caller, backoff));
      if (status != NFS4_OK) return status;
    }
  }
  return NFS4_OK;
}

// Keeps the lease. A client without locks lets it go: it registers again when it next needs it.
void State::RenewLoop() {
  std::unique_lock lock(renew_mutex_);
  auto period = std::chrono::milliseconds(lease_seconds_ * 1000 / 3);
  while (!stopping_) {
    renew_wake_.wait_for(lock, period, [this] { return stopping_ || suspect_; });
    if (stopping_) return;
    suspect_ = false;
    lock.unlock();
    uint64_t client = 0;
    uint64_t epoch = 0;
    {
      Shared shared(recovery_);
      if (registered_) client = client_id_;
      epoch = epoch_;
    }
    if (client != 0) {
      Results renew = client_.Once(Caller{}, Compound().Renew(client));
      renew.Op(OP_RENEW);
      if (IsLost(renew.status())) Recover(Caller{}, epoch);
    }
    lock.lock();
  }
}

}  // namespace tarn::fuse
