// Bytes that no client should send: every answer is an answer, and nothing is lost or broken
// (RFC 8881 section 15.1.1.1, NFS4ERR_BADXDR).
#include <cstring>
#include <random>

#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr unsigned kSeed = 4711;

class BadInputTest : public NfsTest {
 protected:
  BadInputTest() {
    directory = *client->Mkdir(root, "d");
    file = *client->Create(directory, "f");
    EXPECT_TRUE(client->Write(file.fh, file.state, 0, AsOpaque("content")).ok());
  }
  // Operations as bytes, with how many they are.
  struct Sample {
    Bytes bytes;
    uint32_t count;
  };
  std::vector<Sample> Samples();
  void ExpectSound() {
    ASSERT_TRUE(client->Reconnect());
    auto fresh = world.Mount(minor(), "judge");
    ASSERT_TRUE(fresh);
    EXPECT_EQ(fresh->Root().status, NFS4_OK);
    auto problems = world.engine().Check(
        [](std::string_view problem) { ADD_FAILURE() << "check: " << problem; });
    ASSERT_TRUE(problems.ok());
    EXPECT_EQ(*problems, 0U);
  }
  Fh directory;
  OpenFile file;
};

std::vector<BadInputTest::Sample> BadInputTest::Samples() {
  nfs_client::SetAttributes set;
  set.mode = 0600;
  set.size = 5;
  set.owner = "1000";
  nfs_client::EncodedAttributes attributes(set);
  Bytes data(300, std::byte{7});
  OPEN4args open{.seqid = 1,
                 .share_access = OPEN4_SHARE_ACCESS_BOTH,
                 .share_deny = 0,
                 .owner = {.clientid = client->client_id(), .owner = AsOpaque("fuzz")},
                 .openhow = {.opentype = OPEN4_CREATE, .how = {}},
                 .claim = {}};
  open.openhow.how.createattrs = attributes.view();
  open.claim.file = "made";
  LOCK4args lock{.locktype = WRITE_LT, .reclaim = false, .offset = 0, .length = 9, .locker = {}};
  lock.locker.new_lock_owner = true;
  lock.locker.open_owner.open_stateid = file.state;
  lock.locker.open_owner.lock_owner.owner = AsOpaque("locker");
  std::vector<Sample> samples;
  auto add = [&samples](const Compound& c) { samples.push_back({c.ops().Flatten(), c.count()}); };
  add(Compound().Put(directory).Add(OP_OPEN, open).GetFh().GetAttr(nfs_client::UsualAttributes()));
  add(Compound().Put(file.fh).Add(OP_SETATTR, SETATTR4args{file.state, attributes.view()}));
  add(Compound().Put(file.fh).Add(OP_WRITE, WRITE4args{file.state, 0, UNSTABLE4, data}));
  add(Compound().Put(file.fh).Add(OP_READ, READ4args{file.state, 0, 4096}));
  add(Compound().Put(file.fh).Add(OP_LOCK, lock));
  add(Compound().Put(directory).Add(OP_CREATE,
                                    CREATE4args{.objtype = {.type = NF4LNK, .linkdata = "target"},
                                                .objname = "link",
                                                .createattrs = attributes.view()}));
  add(Compound().Put(directory).Add(OP_READDIR,
                                    READDIR4args{.cookie = 0,
                                                 .cookieverf = {},
                                                 .dircount = 4096,
                                                 .maxcount = 4096,
                                                 .attr_request = nfs_client::UsualAttributes()}));
  add(Compound().Put(directory).SaveFh().Root().Add(OP_RENAME, RENAME4args{"link", "renamed"}));
  add(Compound().Put(file.fh).Add(OP_VERIFY, VERIFY4args{attributes.view()}));
  add(Compound().Put(file.fh).Add(OP_CLOSE, CLOSE4args{7, file.state}));
  add(Compound().Add(
      OP_EXCHANGE_ID,
      EXCHANGE_ID4args{.eia_clientowner = {.co_verifier = {}, .co_ownerid = AsOpaque("fuzz")},
                       .eia_flags = 0,
                       .eia_state_protect = {},
                       .eia_client_impl_id = {{}}}));
  add(Compound().Add(OP_CREATE_SESSION, CREATE_SESSION4args{.csa_clientid = client->client_id(),
                                                            .csa_sequence = 2,
                                                            .csa_flags = 0,
                                                            .csa_fore_chan_attrs = {},
                                                            .csa_back_chan_attrs = {},
                                                            .csa_cb_program = 0,
                                                            .csa_sec_parms = {{}}}));
  return samples;
}

TEST_P(BadInputTest, EveryTruncation) {
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.bytes.size(); size += 4) {
      Compound compound;
      compound.raw().PutRaw(xdr::Opaque(sample.bytes).first(size));
      compound.SetCount(sample.count);
      CompoundReply reply = client->Run(compound);
      ASSERT_NE(reply.status, kNoAnswer) << size;
      EXPECT_NE(reply.status, NFS4_OK) << size;
      EXPECT_NE(reply.status, NFS4ERR_SERVERFAULT) << size;
    }
  }
  ExpectSound();
}

TEST_P(BadInputTest, FlippedBytes) {
  std::mt19937 dice(kSeed);
  std::vector<Sample> samples = Samples();
  for (int round = 0; round < 4000; ++round) {
    Sample sample = samples[dice() % samples.size()];
    // Lengths, counts and enums are what decoders trip over: whole words as often as bytes.
    for (unsigned i = 0; i <= dice() % 3; ++i) {
      size_t at = dice() % sample.bytes.size();
      if (dice() % 2 == 0) {
        sample.bytes[at] = static_cast<std::byte>(dice());
      } else {
        static constexpr uint32_t kWords[] = {0, 1, 0x7fffffff, 0xffffffff, 0x80000000, 65536};
        uint32_t word = xdr::SwapBig(kWords[dice() % std::size(kWords)]);
        std::memcpy(sample.bytes.data() + at / 4 * 4, &word, sizeof(word));
      }
    }
    Compound compound;
    compound.raw().PutRaw(sample.bytes);
    compound.SetCount(sample.count);
    CompoundReply reply = client->Run(compound);
    ASSERT_NE(reply.status, kNoAnswer) << "round " << round;
    EXPECT_NE(reply.status, NFS4ERR_SERVERFAULT) << "round " << round;
    if (reply.status == NFS4ERR_BADSESSION && !(client = world.Mount(minor()))) return;
  }
  ExpectSound();
}

TEST_P(BadInputTest, RandomCompounds) {
  std::mt19937 dice(kSeed);
  for (int round = 0; round < 2000; ++round) {
    Compound compound;
    for (unsigned i = 0; i < 4 + dice() % 40; ++i) {
      compound.raw().Put(static_cast<uint32_t>(dice() % 4 == 0 ? dice() : dice() % 80));
    }
    compound.SetCount(1 + dice() % 6);
    ASSERT_NE(client->Run(compound).status, kNoAnswer) << "round " << round;
  }
  ExpectSound();
}

NFS_SUITE(BadInputTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
