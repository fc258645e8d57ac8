// Asynchronous COPY, OFFLOAD_STATUS, OFFLOAD_CANCEL, CB_OFFLOAD: RFC 7862 sections 4.4, 15.2, 15.8,
// 15.9, 16.1.
#include <thread>

#include "server/nfs4/state/copy_jobs.h"
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr uint64_t kLong = vfs::kCopyBytesMax + (3 << 20);

class OffloadTest : public Nfs42Test {
 protected:
  OffloadTest() {
    ClientOptions options = world.Options(minor(), "copier");
    options.callbacks = true;
    copier = std::move(Client::Mount(options).value);
    source = *copier->Create(root, "source");
    target = *copier->Create(root, "target");
    Bytes block(1 << 20);
    for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i / 4096 + i * 3);
    for (uint64_t at = 0; at < kLong; at += block.size()) {
      EXPECT_EQ(copier->Write(source.fh, source.state, at, block).status, NFS4_OK);
    }
  }
  // An asynchronous copy of all of the source. The server makes sure first that it can call.
  std::optional<stateid4> Start() {
    for (int i = 0; i < 1000; ++i) {
      auto copy = copier->Copy(source, target, 0, 0, 0, false);
      EXPECT_EQ(copy.status, NFS4_OK);
      if (!copy.ok()) return std::nullopt;
      EXPECT_EQ(copy->synchronous, !copy->job);
      if (copy->job) return copy->job;
      EXPECT_GT(copy->count, 0U);
      if (copier->callbacks().nulls == 0) copier->WaitCallback();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ADD_FAILURE() << "no asynchronous copy is made";
    return std::nullopt;
  }
  const nfs_client::Callback* Told(const stateid4& job) {
    for (const auto& call : copier->callbacks().calls) {
      if (call.op == OP_CB_OFFLOAD && call.stateid.other == job.other) return &call;
    }
    return nullptr;
  }
  std::unique_ptr<Client> copier;
  OpenFile source;
  OpenFile target;
};

TEST_P(OffloadTest, TheEndIsTold) {
  auto job = Start();
  ASSERT_TRUE(job);
  while (!Told(*job)) ASSERT_TRUE(copier->WaitCallback());
  const nfs_client::Callback& told = *Told(*job);
  EXPECT_EQ(told.offload.coa_status, NFS4_OK);
  EXPECT_EQ(told.offload.coa_resok4.wr_count, kLong);
  EXPECT_EQ(told.offload.coa_resok4.wr_committed, FILE_SYNC4);
  EXPECT_EQ(told.fh, target.fh);
  for (uint64_t at = 0; at < kLong; at += 1 << 20) {
    EXPECT_EQ(copier->Read(target.fh, target.state, at, 1 << 20)->data,
              copier->Read(source.fh, source.state, at, 1 << 20)->data);
  }
  // The client knows: there is nothing more to ask. The answer may still be on its way.
  nfsstat4 status = NFS4_OK;
  for (int i = 0; i < 1000 && status == NFS4_OK; ++i) {
    world.Advance(std::chrono::seconds(0));
    status = copier->OffloadStatus(target.fh, *job).status;
  }
  EXPECT_EQ(status, NFS4ERR_BAD_STATEID);
}

TEST_P(OffloadTest, StatusTellsHowFarItIs) {
  auto job = Start();
  ASSERT_TRUE(job);
  copier->callbacks().answer = NFS4ERR_DELAY;  // so that it stays known
  uint64_t last = 0;
  for (bool ended = false; !ended;) {
    auto status = copier->OffloadStatus(target.fh, *job);
    ASSERT_EQ(status.status, NFS4_OK);
    EXPECT_GE(status->osr_count, last);
    last = status->osr_count;
    ended = !status->osr_complete.empty();
    if (ended) {
      EXPECT_EQ(status->osr_complete[0], NFS4_OK);
    }
  }
  EXPECT_EQ(last, kLong);
  world.Advance(CopyJobs::kKept + std::chrono::seconds(1));
  EXPECT_EQ(copier->OffloadStatus(target.fh, *job).status, NFS4ERR_BAD_STATEID);
}

TEST_P(OffloadTest, CancelEndsIt) {
  auto job = Start();
  ASSERT_TRUE(job);
  EXPECT_EQ(copier->OffloadCancel(target.fh, *job), NFS4_OK);
  EXPECT_EQ(copier->OffloadStatus(target.fh, *job).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(copier->OffloadCancel(target.fh, *job), NFS4ERR_BAD_STATEID);
}

TEST_P(OffloadTest, OnlyItsClientAndTargetKnowIt) {
  auto job = Start();
  ASSERT_TRUE(job);
  EXPECT_EQ(client->OffloadStatus(target.fh, *job).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(client->OffloadCancel(target.fh, *job), NFS4ERR_BAD_STATEID);
  EXPECT_EQ(copier->OffloadStatus(source.fh, *job).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(copier->OffloadStatus(target.fh, target.state).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(copier->OffloadCancel(target.fh, {}), NFS4ERR_BAD_STATEID);
  // It is no state of the file.
  EXPECT_EQ(copier->Read(target.fh, *job, 0, 1).status, NFS4ERR_BAD_STATEID);
  EXPECT_EQ(copier->FreeState(*job), NFS4ERR_BAD_STATEID);
  EXPECT_EQ(copier->OffloadCancel(target.fh, *job), NFS4_OK);
}

TEST_P(OffloadTest, ItOutlivesTheOpensButNotItsClient) {
  auto job = Start();
  ASSERT_TRUE(job);
  EXPECT_EQ(copier->Close(source), NFS4_OK);
  EXPECT_EQ(copier->Close(target), NFS4_OK);
  EXPECT_EQ(copier->Remove(root, "source"), NFS4_OK);
  while (!Told(*job)) ASSERT_TRUE(copier->WaitCallback());
  EXPECT_EQ(Told(*job)->offload.coa_status, NFS4_OK);
  EXPECT_EQ(client->GetAttributes(target.fh)->size, kLong);
  auto again = client->Open(root, "target");
  ASSERT_EQ(again.status, NFS4_OK);
  // Another life of the client ends the one before, and its copies.
  source = *copier->Open(root, "target");
  target = *copier->Create(root, "target 2");
  job = Start();
  ASSERT_TRUE(job);
  auto reborn = world.Mount(minor(), "copier", 2);
  world.Advance(std::chrono::seconds(0));
  EXPECT_EQ(reborn->OffloadStatus(target.fh, *job).status, NFS4ERR_BAD_STATEID);
}

TEST_P(OffloadTest, ItEndsWithTheRightToWrite) {
  // From now on an asynchronous one is made at once.
  auto first = Start();
  ASSERT_TRUE(first);
  while (!Told(*first)) ASSERT_TRUE(copier->WaitCallback());
  copier->callbacks().answer = NFS4ERR_DELAY;  // so that what ends stays known
  struct Case {
    Rights then;
    nfsstat4 end;
  };
  for (const Case& one :
       {Case{{.write = false}, NFS4ERR_ROFS}, Case{{.mount = false}, NFS4ERR_ACCESS},
        Case{{.root = false}, NFS4ERR_ACCESS}}) {
    // The COPY itself is allowed, and nothing after it.
    auto asked = std::make_shared<int>(0);
    world.DecideRights(
        [asked, one](const Export&) { return (*asked)++ == 0 ? Rights() : one.then; });
    auto copy = copier->Copy(source, target, 0, 0, 0, false);
    ASSERT_EQ(copy.status, NFS4_OK);
    ASSERT_TRUE(copy->job);
    while (!Told(*copy->job)) ASSERT_TRUE(copier->WaitCallback());
    EXPECT_EQ(Told(*copy->job)->offload.coa_status, one.end);
    if (!one.then.mount) {
      EXPECT_EQ(copier->OffloadStatus(target.fh, *copy->job).status, NFS4ERR_ACCESS);
    }
    world.DecideRights(nullptr);
    auto status = copier->OffloadStatus(target.fh, *copy->job);
    ASSERT_EQ(status.status, NFS4_OK);
    EXPECT_EQ(status->osr_count, 0U);
    EXPECT_EQ(status->osr_complete, std::vector<nfsstat4>{one.end});
  }
}

TEST_P(OffloadTest, ARetransmissionStartsNoSecondJob) {
  auto job = Start();
  ASSERT_TRUE(job);
  Compound compound;
  compound.Put(source.fh).SaveFh().Put(target.fh).Add(OP_COPY,
                                                      COPY4args{.ca_src_stateid = source.state,
                                                                .ca_dst_stateid = target.state,
                                                                .ca_consecutive = true,
                                                                .ca_synchronous = false,
                                                                .ca_source_server = {}});
  SEQUENCE4args sequence = copier->NextSequence(3);
  auto of = [](const CompoundReply& reply) {
    return reply.Get<COPY4res>(3).cr_resok4.cr_response.wr_callback_id.at(0);
  };
  CompoundReply first = copier->RunWith(sequence, compound);
  ASSERT_EQ(first.status, NFS4_OK);
  CompoundReply again = copier->RunWith(sequence, compound);
  ASSERT_EQ(again.status, NFS4_OK);
  EXPECT_EQ(of(first).other, of(again).other);
}

TEST_P(OffloadTest, TooManyAreMadeAtOnceInParts) {
  copier->callbacks().answer = NFS4ERR_DELAY;
  size_t jobs = Start() ? 1 : 0;
  for (size_t i = 0; i <= CopyJobs::kJobsOfClient; ++i) {
    auto copy = copier->Copy(source, target, 0, 0, 0, false);
    ASSERT_EQ(copy.status, NFS4_OK);
    jobs += copy->job ? 1 : 0;
    if (!copy->job) {
      EXPECT_GT(copy->count, 0U);
    }
  }
  EXPECT_EQ(jobs, CopyJobs::kJobsOfClient);
}

TEST_P(OffloadTest, WhoCannotBeToldGetsASynchronousOne) {
  auto from = client->Open(root, "source");
  auto to = client->Create(root, "other target");
  auto copy = client->Copy(*from, *to, 0, 0, 0, false);
  ASSERT_EQ(copy.status, NFS4_OK);
  EXPECT_TRUE(copy->synchronous);
  EXPECT_GT(copy->count, 0U);
}

TEST_P(OffloadTest, AfterARestartItIsUnknown) {
  auto job = Start();
  ASSERT_TRUE(job);
  world.Restart();
  world.EndGrace();
  auto back = world.Mount(minor(), "copier", 1);
  EXPECT_EQ(back->OffloadStatus(target.fh, *job).status, NFS4ERR_BAD_STATEID);
}

NFS_SUITE(OffloadTest, Settings42());

}  // namespace
}  // namespace tarn::nfs_test
