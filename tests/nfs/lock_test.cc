// LOCK, LOCKT, LOCKU, RELEASE_LOCKOWNER: RFC 8881 sections 9.1 to 9.5, 18.10 to 18.12; RFC 7530
// sections 9.4, 16.10 to 16.12, 16.37.
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr uint64_t kToTheEnd = UINT64_MAX;

class LockTest : public NfsTest {
 protected:
  LockTest() {
    file = *client->Create(root, "f", 0666);
    other = Another("other");
    theirs = *other->Open(root, "f");
  }
  OpenFile file;
  std::unique_ptr<Client> other;
  OpenFile theirs;
};

TEST_P(LockTest, ExclusiveLockOfTwoClients) {
  auto mine = client->Lock(file, "me", WRITE_LT, 10, 10);
  ASSERT_EQ(mine.status, NFS4_OK);
  EXPECT_EQ(other->Lock(theirs, "they", WRITE_LT, 15, 10).status, NFS4ERR_DENIED);
  EXPECT_EQ(other->last_conflict().offset, 10U);
  EXPECT_EQ(other->last_conflict().length, 10U);
  EXPECT_EQ(other->last_conflict().type, WRITE_LT);
  EXPECT_EQ(other->last_conflict().owner, "me");
  EXPECT_EQ(other->Lock(theirs, "they", READ_LT, 19, 1).status, NFS4ERR_DENIED);
  EXPECT_EQ(other->Lock(theirs, "they", WRITE_LT, 20, 10).status, NFS4_OK) << "beside it";
  EXPECT_EQ(client->Unlock(file, *mine, 10, 10), NFS4_OK);
  EXPECT_EQ(other->TestLock(theirs.fh, "they", WRITE_LT, 0, 15).status, NFS4_OK);
}

TEST_P(LockTest, SharedLocks) {
  auto mine = client->Lock(file, "me", READ_LT, 0, kToTheEnd);
  ASSERT_EQ(mine.status, NFS4_OK);
  auto second = other->Lock(theirs, "they", READ_LT, 5, 5);
  ASSERT_EQ(second.status, NFS4_OK);
  EXPECT_EQ(client->LockMore(file, *mine, WRITE_LT, 0, 10), NFS4ERR_DENIED);
  EXPECT_EQ(client->LockMore(file, *mine, WRITE_LT, 0, 5), NFS4_OK) << "upgrade beside it";
  EXPECT_EQ(other->LockMore(theirs, *second, READ_LT, 0, 1), NFS4ERR_DENIED);
}

TEST_P(LockTest, RangesSplitAndMerge) {
  auto mine = client->Lock(file, "me", WRITE_LT, 0, 100);
  ASSERT_TRUE(mine.ok());
  EXPECT_EQ(client->Unlock(file, *mine, 40, 20), NFS4_OK);
  auto probe = [this](uint64_t offset, uint64_t length) {
    return other->TestLock(theirs.fh, "they", READ_LT, offset, length).status;
  };
  EXPECT_EQ(probe(40, 20), NFS4_OK);
  EXPECT_EQ(probe(39, 1), NFS4ERR_DENIED);
  EXPECT_EQ(probe(60, 1), NFS4ERR_DENIED);
  EXPECT_EQ(client->LockMore(file, *mine, WRITE_LT, 40, 20), NFS4_OK);
  auto denied = other->TestLock(theirs.fh, "they", READ_LT, 50, 1);
  EXPECT_EQ(denied.status, NFS4ERR_DENIED);
  EXPECT_EQ(denied->offset, 0U);
  EXPECT_EQ(denied->length, 100U) << "neighbours of one owner are one lock";
  EXPECT_EQ(client->LockMore(file, *mine, READ_LT, 20, 10), NFS4_OK) << "downgrade of a part";
  EXPECT_EQ(probe(20, 10), NFS4_OK);
  EXPECT_EQ(probe(19, 1), NFS4ERR_DENIED);
  EXPECT_EQ(client->Unlock(file, *mine, 0, kToTheEnd), NFS4_OK);
  EXPECT_EQ(probe(0, kToTheEnd), NFS4_OK);
}

TEST_P(LockTest, BadRanges) {
  EXPECT_EQ(client->Lock(file, "me", WRITE_LT, 10, 0).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->Lock(file, "me", WRITE_LT, 10, UINT64_MAX - 5).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->TestLock(file.fh, "me", WRITE_LT, 10, 0).status, NFS4ERR_INVAL);
  EXPECT_EQ(client->TestLock(root, "me", WRITE_LT, 0, 1).status, NFS4ERR_ISDIR);
  auto last = client->Lock(file, "me", WRITE_LT, UINT64_MAX - 1, 1);
  EXPECT_EQ(last.status, NFS4_OK);
  EXPECT_EQ(client->Unlock(file, *last, 5, 0), NFS4ERR_INVAL);
}

TEST_P(LockTest, NeedsTheRightOpenMode) {
  OpenRequest reading;
  reading.access = OPEN4_SHARE_ACCESS_READ;
  reading.owner = "reader";
  auto reader = client->Open(root, "f", reading);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(client->Lock(*reader, "r", WRITE_LT, 0, 1).status, NFS4ERR_OPENMODE);
  EXPECT_EQ(client->Lock(*reader, "r", READ_LT, 0, 1).status, NFS4_OK);
}

TEST_P(LockTest, OwnersOfOneClientCollideToo) {
  ASSERT_EQ(client->Lock(file, "one", WRITE_LT, 0, 10).status, NFS4_OK);
  EXPECT_EQ(client->Lock(file, "two", WRITE_LT, 5, 10).status, NFS4ERR_DENIED);
  EXPECT_EQ(client->TestLock(file.fh, "one", WRITE_LT, 0, 10).status, NFS4_OK)
      << "one's own lock is no conflict";
}

TEST_P(LockTest, BlockingTypesAreAnsweredAtOnce) {
  ASSERT_EQ(client->Lock(file, "me", WRITEW_LT, 0, 10).status, NFS4_OK);
  EXPECT_EQ(other->Lock(theirs, "they", WRITEW_LT, 0, 10).status, NFS4ERR_DENIED);
  EXPECT_EQ(other->Lock(theirs, "they", READW_LT, 0, 10).status, NFS4ERR_DENIED);
}

TEST_P(LockTest, CloseWithLocks) {
  auto mine = client->Lock(file, "me", WRITE_LT, 0, 10);
  ASSERT_TRUE(mine.ok());
  nfsstat4 status = client->Close(file);
  // RFC 8881 section 18.2.4: either it frees the locks or it says that there are some.
  if (status == NFS4ERR_LOCKS_HELD) {
    EXPECT_EQ(client->Unlock(file, *mine, 0, 10), NFS4_OK);
    EXPECT_EQ(client->Close(file), NFS4_OK);
  } else {
    EXPECT_EQ(status, NFS4_OK);
  }
  EXPECT_EQ(other->TestLock(theirs.fh, "they", WRITE_LT, 0, 10).status, NFS4_OK);
}

TEST_P(LockTest, StateidsOfLocks) {
  auto mine = client->Lock(file, "me", WRITE_LT, 0, 10);
  ASSERT_TRUE(mine.ok());
  EXPECT_EQ(client->Write(file.fh, mine->state, 0, AsOpaque("x")).status, NFS4_OK);
  stateid4 old = mine->state;
  ASSERT_EQ(client->LockMore(file, *mine, WRITE_LT, 20, 10), NFS4_OK);
  EXPECT_EQ(mine->state.other, old.other);
  EXPECT_GT(mine->state.seqid, old.seqid);
  nfs_client::LockState stale{.state = old, .owner = "me"};
  EXPECT_EQ(client->Unlock(file, stale, 0, 10), NFS4ERR_OLD_STATEID);
  nfs_client::LockState wrong{.state = file.state, .owner = "me"};
  EXPECT_EQ(client->Unlock(file, wrong, 0, 10), NFS4ERR_BAD_STATEID);
}

TEST_P(LockTest, NoReclaimOutsideGrace) {
  EXPECT_EQ(client->Lock(file, "me", WRITE_LT, 0, 10, true).status, NFS4ERR_NO_GRACE);
}

TEST_P(LockTest, ManyLocksOfOneOwner) {
  auto mine = client->Lock(file, "me", WRITE_LT, 0, 1);
  ASSERT_TRUE(mine.ok());
  for (uint64_t i = 1; i < 300; ++i) {
    ASSERT_EQ(client->LockMore(file, *mine, WRITE_LT, i * 2, 1), NFS4_OK) << i;
  }
  EXPECT_EQ(other->TestLock(theirs.fh, "they", WRITE_LT, 101, 1).status, NFS4_OK);
  EXPECT_EQ(other->TestLock(theirs.fh, "they", WRITE_LT, 101, 2).status, NFS4ERR_DENIED);
  EXPECT_EQ(client->LockMore(file, *mine, WRITE_LT, 0, kToTheEnd), NFS4_OK);
  EXPECT_EQ(client->Unlock(file, *mine, 0, kToTheEnd), NFS4_OK);
}

NFS_SUITE(LockTest, EverySetting());

class Lock40Test : public Nfs40Test {};

TEST_P(Lock40Test, ReleaseLockOwner) {
  auto file = client->Create(root, "f");
  auto lock = client->Lock(*file, "me", WRITE_LT, 0, 10);
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(client->ReleaseLockOwner("me"), NFS4ERR_LOCKS_HELD);
  EXPECT_EQ(client->Unlock(*file, *lock, 0, 10), NFS4_OK);
  EXPECT_EQ(client->ReleaseLockOwner("me"), NFS4_OK);
  EXPECT_EQ(client->ReleaseLockOwner("nobody"), NFS4_OK);
}

NFS_SUITE(Lock40Test, Settings40());

class Lock41Test : public Nfs41Test {};

TEST_P(Lock41Test, FreeStateidOfAnUnlockedOwner) {
  auto file = client->Create(root, "f");
  auto lock = client->Lock(*file, "me", WRITE_LT, 0, 10);
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(client->FreeState(lock->state), NFS4ERR_LOCKS_HELD);
  EXPECT_EQ(client->Unlock(*file, *lock, 0, 10), NFS4_OK);
  EXPECT_EQ(client->FreeState(lock->state), NFS4_OK);
  EXPECT_EQ(client->FreeState(lock->state), NFS4ERR_BAD_STATEID);
}

NFS_SUITE(Lock41Test, Settings41());

}  // namespace
}  // namespace tarn::nfs_test
