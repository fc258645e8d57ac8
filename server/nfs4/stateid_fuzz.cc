// Stateids: two clients open, lock and close two files, and present stateids that were given to
// them, to the other, for the other file, before a restart, or that nobody was ever given. A model
// says which of them may be taken.
//
// An input is a list of steps, each a few bytes: what to do, who does it to which file, which of
// the stateids given so far, and how it is changed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "common/fuzz.h"
#include "common/log.h"
#include "server/nfs4/state/stateid.h"
#include "server/nfs4/testing/harness.h"

using namespace tarn;                 // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4;           // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4::testing;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kStepsMax = 48;
constexpr size_t kClients = 2;
constexpr size_t kFiles = 2;
constexpr uint32_t kMinor0 = 2;  // who: a request of NFS 4.0, which no session's state is for
constexpr uint64_t kRange = 16;

using Other = decltype(stateid4::other);

class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }
  uint8_t Byte() {
    if (done()) return 0;
    uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  void Fill(std::span<std::byte> bytes) {
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(Byte());
  }

 private:
  std::span<const uint8_t> rest_;
};

// What the server has said of a stateid.
struct Known {
  size_t client = 0;
  size_t file = 0;
  bool lock = false;
  Other open{};  // of a lock
  uint32_t seqid = 0;
  bool live = true;
};

class World {
 public:
  World() {
    for (size_t i = 0; i < kClients; ++i) {
      clients_.emplace_back(harness_, "client" + std::to_string(i), 1, 2);
      clients_.back().Start();
    }
    for (size_t file = 0; file < kFiles; ++file) {
      for (size_t client = 0; client < kClients; ++client) Open(client, file, 0);
      WRITE4args data{.stateid = {}, .offset = 0, .stable = FILE_SYNC4, .data = Keep("content")};
      clients_[0].Run({PutFh(Handle(file)), Op(OP_WRITE, data)});
    }
  }

  void Step(Input& input) {
    uint8_t what = input.Byte();
    uint8_t where = input.Byte();
    size_t who = where % 3;
    size_t file = where >> 4 & 1;
    stateid4 id = Choose(input);
    switch (what % 20) {
      case 0:
        return Open(who % kClients, file, where >> 5);
      case 1:
        return Restart();
      case 2:
        return Test(who % kClients, id);
      case 3:
        return LockNew(who, file, id, where >> 5);
      case 4:
        return ChangeLock(who, file, id);
      case 5:
        return Close(who, file, id);
      case 6:
        return Free(who, file, id);
      case 7:
        return Downgrade(who, file, id);
      default:
        return Use(what % 20 - 8, who, file, id);
    }
  }

  void Check() {
    auto problems = harness_.files->Check([](std::string_view line) {
      std::fprintf(stderr, "check: %.*s\n", static_cast<int>(line.size()), line.data());
    });
    FUZZ_REQUIRE(problems.ok() && *problems == 0);
  }

 private:
  xdr::Opaque Handle(size_t file) const { return std::as_bytes(std::span(handles_[file])); }
  static Other Key(const stateid4& id) { return id.other; }

  // One that was given, changed as the input has it.
  stateid4 Choose(Input& input) {
    stateid4 id;
    uint8_t which = input.Byte();
    if (!given_.empty()) {
      id.other = given_[which % given_.size()];
      id.seqid = known_.at(id.other).seqid;
    }
    uint8_t how = input.Byte();
    if ((how & 3) == 1) {
      id.seqid += static_cast<uint32_t>(static_cast<int8_t>(input.Byte()));
    } else if ((how & 3) == 2) {
      Other mask{};
      input.Fill(mask);
      for (size_t i = 0; i < mask.size(); ++i) id.other[i] ^= mask[i];
    } else if ((how & 3) == 3) {
      input.Fill(std::as_writable_bytes(std::span(&id.seqid, 1)));
      input.Fill(id.other);
    }
    if ((how & 4) != 0) id.seqid = 0;
    return id;
  }

  // What the server knows the stateid as, if this client may use it.
  Known* Valid(size_t who, const stateid4& id) {
    auto found = known_.find(Key(id));
    if (found == known_.end() || who != found->second.client || !found->second.live) return nullptr;
    return id.seqid == 0 || id.seqid == found->second.seqid ? &found->second : nullptr;
  }
  Known* ValidHere(size_t who, size_t file, const stateid4& id) {
    Known* known = Valid(who, id);
    return known != nullptr && known->file == file ? known : nullptr;
  }

  Reply Run(size_t who, size_t file, nfs_argop4 op) {
    if (who == kMinor0) return harness_.Run(0, {PutFh(Handle(file)), std::move(op)});
    return clients_[who].Run({PutFh(Handle(file)), std::move(op)});
  }
  // Did the operation itself answer, and well?
  static bool Good(const Reply& reply) { return reply.status() == NFS4_OK; }
  template <typename T>
  static const T& Last(const Reply& reply) {
    return std::get<T>(reply.result.resarray.back().u);
  }

  // The server gave it: for the first time, or again with its next sequence.
  void Give(const stateid4& id, Known as) {
    auto [at, fresh] = known_.try_emplace(Key(id), as);
    if (fresh) given_.push_back(id.other);
    Known& known = at->second;
    FUZZ_REQUIRE(known.live && known.client == as.client && known.file == as.file);
    FUZZ_REQUIRE(known.lock == as.lock && (fresh || id.seqid == known.seqid + 1));
    known.seqid = id.seqid;
  }

  void Open(size_t who, size_t file, uint32_t owner) {
    Client41& client = clients_[who];
    Reply reply = client.Run({Op(OP_PUTROOTFH),
                              Op(OP_OPEN, client.OpenArgs("file" + std::to_string(file), 3, 0, true,
                                                          "owner" + std::to_string(owner))),
                              Op(OP_GETFH)});
    if (!Good(reply)) return;
    Give(reply.at<OPEN4res>(2).resok4.stateid, {.client = who, .file = file, .open = {}});
    xdr::Opaque handle = reply.at<GETFH4res>(3).resok4.object;
    handles_[file].assign(reinterpret_cast<const char*>(handle.data()), handle.size());
  }

  void Restart() {
    for (auto& [other, known] : known_) known.live = false;
    harness_.Restart();
    harness_.clock.Advance(std::chrono::seconds(31));
    harness_.server->Tick();
    for (Client41& client : clients_) {
      ++client.boot;
      client.Start();
    }
  }

  void Test(size_t who, const stateid4& id) {
    TEST_STATEID4args test;
    test.ts_stateids.push_back(id);
    Reply reply = Run(who, 0, Op(OP_TEST_STATEID, test));
    FUZZ_REQUIRE(Good(reply));
    nfsstat4 said = Last<TEST_STATEID4res>(reply).tsr_resok4.tsr_status_codes.at(0);
    FUZZ_REQUIRE((said == NFS4_OK) == (Valid(who, id) != nullptr));
  }

  void LockNew(size_t who, size_t file, const stateid4& id, uint32_t owner) {
    LOCK4args lock{.locktype = READ_LT, .reclaim = false, .offset = 0, .length = kRange};
    lock.locker.new_lock_owner = true;
    lock.locker.open_owner.open_stateid = id;
    lock.locker.open_owner.lock_owner.owner = Keep("locker" + std::to_string(owner));
    Known* open = ValidHere(who, file, id);
    Reply reply = Run(who, file, Op(OP_LOCK, lock));
    if (!Good(reply)) return;
    FUZZ_REQUIRE(open != nullptr && !open->lock);
    Give(Last<LOCK4res>(reply).resok4.lock_stateid,
         {.client = who, .file = file, .lock = true, .open = Key(id)});
  }

  void ChangeLock(size_t who, size_t file, const stateid4& id) {
    Known* lock = ValidHere(who, file, id);
    bool may = lock != nullptr && lock->lock;
    if ((id.seqid & 1) != 0) {
      LOCK4args more{.locktype = READ_LT, .reclaim = false, .offset = kRange, .length = kRange};
      more.locker.new_lock_owner = false;
      more.locker.lock_owner.lock_stateid = id;
      Reply reply = Run(who, file, Op(OP_LOCK, more));
      FUZZ_REQUIRE(Good(reply) == may);
      if (may) Give(Last<LOCK4res>(reply).resok4.lock_stateid, *lock);
    } else {
      LOCKU4args less{
          .locktype = READ_LT, .seqid = 0, .lock_stateid = id, .offset = 0, .length = 2 * kRange};
      Reply reply = Run(who, file, Op(OP_LOCKU, less));
      FUZZ_REQUIRE(Good(reply) == may);
      if (may) Give(Last<LOCKU4res>(reply).lock_stateid, *lock);
    }
  }

  void Close(size_t who, size_t file, const stateid4& id) {
    Known* open = ValidHere(who, file, id);
    Reply reply = Run(who, file, Op(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = id}));
    FUZZ_REQUIRE(Good(reply) == (open != nullptr && !open->lock));
    if (!Good(reply)) return;
    open->live = false;
    for (auto& [other, known] : known_) {
      if (known.lock && known.open == Key(id)) known.live = false;
    }
  }

  void Free(size_t who, size_t file, const stateid4& id) {
    Known* lock = Valid(who, id);
    Reply reply = Run(who, file, Op(OP_FREE_STATEID, FREE_STATEID4args{.fsa_stateid = id}));
    if (!Good(reply)) return;
    FUZZ_REQUIRE(lock != nullptr && lock->lock);
    lock->live = false;
  }

  void Downgrade(size_t who, size_t file, const stateid4& id) {
    Known* open = ValidHere(who, file, id);
    OPEN_DOWNGRADE4args to{.open_stateid = id, .seqid = 0, .share_access = 3, .share_deny = 0};
    Reply reply = Run(who, file, Op(OP_OPEN_DOWNGRADE, to));
    FUZZ_REQUIRE(Good(reply) == (open != nullptr && !open->lock));
    if (Good(reply)) Give(Last<OPEN_DOWNGRADE4res>(reply).resok4.open_stateid, *open);
  }

  // Operations that change nothing of the state.
  void Use(int what, size_t who, size_t file, const stateid4& id) {
    nfs_argop4 op = Operation(what, id);
    Reply reply = Run(who, file, op);
    SpecialStateid special = SpecialOf(id);
    bool general = special == SpecialStateid::kAnonymous || special == SpecialStateid::kBypass;
    // Nobody holds a delegation or copies.
    bool never = what >= 8;
    bool of_42 = what >= 3;  // and so not of 4.0
    bool may = !never && (ValidHere(who, file, id) != nullptr || general);
    if (who == kMinor0 && of_42) may = false;
    FUZZ_REQUIRE(Good(reply) == may);
  }

  static nfs_argop4 Operation(int what, const stateid4& id) {
    SETATTR4args cut{.stateid = id, .obj_attributes = {}};
    static const std::array<std::byte, 8> size{{{}, {}, {}, {}, {}, {}, {}, std::byte{7}}};
    cut.obj_attributes.attrmask.Set(FATTR4_SIZE);
    cut.obj_attributes.attr_vals = size;
    OPEN4args open{.seqid = 0, .share_access = 1, .share_deny = 0};
    open.claim.claim = CLAIM_DELEG_CUR_FH;
    open.claim.oc_delegate_stateid = id;
    switch (what) {
      case 0:
        return Op(OP_READ, READ4args{.stateid = id, .offset = 0, .count = 4});
      case 1:
        return Op(OP_WRITE, WRITE4args{.stateid = id, .offset = 0, .data = Keep("con")});
      case 2:
        return Op(OP_SETATTR, cut);
      case 3:
        return Op(OP_ALLOCATE, ALLOCATE4args{.aa_stateid = id, .aa_offset = 0, .aa_length = 7});
      case 4:
        return Op(OP_DEALLOCATE, DEALLOCATE4args{.da_stateid = id, .da_offset = 0, .da_length = 7});
      case 5:
        return Op(OP_SEEK,
                  SEEK4args{.sa_stateid = id, .sa_offset = 0, .sa_what = NFS4_CONTENT_HOLE});
      case 6:
        return Op(OP_READ_PLUS, READ_PLUS4args{.rpa_stateid = id, .rpa_offset = 0, .rpa_count = 4});
      case 7:
        return Op(OP_IO_ADVISE, IO_ADVISE4args{.iaa_stateid = id, .iaa_hints = {}});
      case 8:
        return Op(OP_DELEGRETURN, DELEGRETURN4args{.deleg_stateid = id});
      case 9:
        return Op(OP_OFFLOAD_STATUS, OFFLOAD_STATUS4args{.osa_stateid = id});
      case 10:
        return Op(OP_OFFLOAD_CANCEL, OFFLOAD_CANCEL4args{.oca_stateid = id});
      default:
        return Op(OP_OPEN, open);
    }
  }

  Harness harness_;
  std::vector<Client41> clients_;
  std::array<std::string, kFiles> handles_;
  std::map<Other, Known> known_;
  std::vector<Other> given_;
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  ::testing::InitGoogleTest(argc, *argv);
  GTEST_FLAG_SET(throw_on_failure, true);
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(std::span(data, size));
  World world;
  for (size_t i = 0; i < kStepsMax && !input.done(); ++i) world.Step(input);
  world.Check();
  return 0;
}
