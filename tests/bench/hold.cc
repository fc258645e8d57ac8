#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>

#include "tests/bench/special.h"

namespace tarn::bench {
namespace {

using namespace nfs4;
using nfs_client::Client;
using nfs_client::ClientOptions;
using nfs_client::Fh;
using nfs_client::OpenFile;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRetry{5};
constexpr std::chrono::seconds kPatience{120};
constexpr uint32_t kSlotsOfAClient = 64;  // what the Linux client asks for

double Since(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

int Fail(const char* what, nfsstat4 status) {
  std::fprintf(stderr, "tarn-bench: %s: %s\n", what, std::string(Name(status)).c_str());
  return 1;
}

void SayReady() {
  std::puts("ready");
  std::fflush(stdout);
}

std::unique_ptr<Client> MountOne(ClientOptions options, uint32_t number, nfsstat4& status) {
  options.owner += "-" + std::to_string(number);
  options.slots = kSlotsOfAClient;
  auto client = Client::Mount(options);
  status = client.status;
  return std::move(*client);
}

// One of the clients that come back.
struct Returning {
  std::unique_ptr<Client> client;
  OpenFile file;
};

// Connects and gets an answer, as soon as there is one.
bool Reconnect(Client& client, Steady::time_point give_up) {
  while (Steady::now() < give_up) {
    if (client.Reconnect() && client.Renew() == NFS4_OK) return true;
    std::this_thread::sleep_for(kRetry);
  }
  return false;
}

nfsstat4 Reclaim(Returning& one) {
  open_claim4 claim;
  claim.claim = CLAIM_PREVIOUS;
  claim.delegate_type = OPEN_DELEGATE_NONE;
  auto opened = one.client->OpenClaim(one.file.fh, claim, nfs_client::OpenRequest());
  if (!opened.ok()) return opened.status;
  one.file = *opened;
  return one.client->ReclaimComplete();
}

}  // namespace

int HoldIdle(const ClientOptions& options, uint32_t count, const std::string& path) {
  std::vector<std::unique_ptr<Client>> clients;
  clients.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    nfsstat4 status = NFS4_OK;
    clients.push_back(MountOne(options, i, status));
    if (status != NFS4_OK) return Fail("cannot mount", status);
    auto top = clients.back()->Walk(path);
    if (!top.ok() || !clients.back()->GetAttributes(*top).ok()) {
      return Fail("cannot look at the directory", top.status);
    }
  }
  SayReady();
  std::string line;
  std::getline(std::cin, line);
  return 0;
}

int ComeBack(const ClientOptions& options, uint32_t count, const std::string& path) {
  std::vector<Returning> all(count);
  Fh top;
  for (uint32_t i = 0; i < count; ++i) {
    nfsstat4 status = NFS4_OK;
    all[i].client = MountOne(options, i, status);
    if (status != NFS4_OK) return Fail("cannot mount", status);
    auto directory = all[i].client->Walk(path);
    top = *directory;
    auto file = all[i].client->Create(top, "held-" + std::to_string(i));
    if (!file.ok()) return Fail("cannot create a file", file.status);
    all[i].file = *file;
  }
  SayReady();
  std::string line;
  std::getline(std::cin, line);
  auto begin = Steady::now();
  auto give_up = begin + kPatience;
  double first = 0;
  for (Returning& one : all) {
    if (!Reconnect(*one.client, give_up)) return Fail("no answer after the restart", NFS4ERR_DELAY);
    if (first == 0) first = Since(begin);
    nfsstat4 status = Reclaim(one);
    if (status != NFS4_OK) return Fail("cannot reclaim", status);
  }
  double reclaimed = Since(begin);
  nfsstat4 status = NFS4ERR_GRACE;
  while (status != NFS4_OK && Steady::now() < give_up) {
    auto file = all[0].client->Create(top, "after-grace");
    status = file.status;
    if (!file.ok()) std::this_thread::sleep_for(kRetry);
  }
  if (status != NFS4_OK) return Fail("the grace period does not end", status);
  std::printf(
      "{\"first_answer_seconds\": %.3f, \"reclaimed_seconds\": %.3f, \"grace_seconds\": %.3f}\n",
      first, reclaimed, Since(begin));
  return 0;
}

}  // namespace tarn::bench
