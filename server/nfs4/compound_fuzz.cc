// The whole server over the memory engine: compounds of arbitrary bytes, one after the other.
//
// An input is a list of requests: a control byte, the number of 4-byte words (2 bytes, big-endian),
// and a COMPOUND4args of that size, or of what is left. So that a fuzzer gets past the first check,
// a run of equal bytes 1 to 7 stands for what the server has given before: 8 for a client id or a
// confirm verifier, 12 for a stateid, 16 for a session, 40 for a file handle. The control byte says
// what is put in front: bit 0 a good SEQUENCE, bits 1 to 3 PUTFH of such a handle, bit 4 SAVEFH
// and PUTFH of the first; bits 5 and 6, when not both 0, make the minor version 0, 1 or 2.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "common/fuzz.h"
#include "server/nfs4/testing/harness.h"

using namespace tarn;                 // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4;           // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4::testing;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kRequestsMax = 16;
constexpr size_t kThings = 7;

using Bytes = std::vector<std::byte>;

// The last seven things of one size that the server gave; where none was given yet, zeros.
class Things {
 public:
  explicit Things(size_t size) : size_(size) { given_.fill(Bytes(size)); }
  size_t size() const { return size_; }
  void Learn(xdr::Opaque thing) {
    if (thing.size() != size_) return;
    Bytes bytes(thing.begin(), thing.end());
    if (std::ranges::find(given_, bytes) == given_.end()) given_[next_++ % kThings] = bytes;
  }
  const Bytes& at(size_t number) const { return given_[number]; }

 private:
  size_t size_;
  size_t next_ = 0;
  std::array<Bytes, kThings> given_;
};

template <typename T>
xdr::Opaque Raw(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class World {
 public:
  World() : client_(harness_, "fuzz") {
    client_.Start();
    Learn(client_.Run({Op(OP_PUTROOTFH), Op(OP_GETFH)}));
    std::string handle;
    client_.OpenFile("file", handle);
    for (const char* name : {"a", "b"}) {
      CREATE4args make;
      make.objtype.type = name[0] == 'a' ? NF4DIR : NF4LNK;
      make.objtype.linkdata = "target";
      make.objname = name;
      Learn(client_.Run({Op(OP_PUTROOTFH), Op(OP_CREATE, make), Op(OP_GETFH)}));
    }
    Learn(client_.Run(
        {Op(OP_PUTROOTFH), Op(OP_OPEN, client_.OpenArgs("file", 3, 0, false)), Op(OP_GETFH)}));
    sessions_.Learn(client_.session);
    clients_.Learn(Raw(xdr::SwapBig(client_.id)));
  }

  void Run(uint8_t control, xdr::Opaque request) {
    Bytes bytes(request.begin(), request.end());
    Fill(bytes);
    xdr::Decoder from(bytes);
    COMPOUND4args args;
    if (!Decode(from, args)) {
      harness_.RunRaw(bytes);
      return;
    }
    std::vector<nfs_argop4> front;
    if ((control & 1) != 0) front.push_back(client_.NextSequence(0, false));
    if (size_t handle = control >> 1 & 7; handle != 0) {
      if ((control & 16) != 0) {
        front.push_back(PutFh(handles_.at(0)));
        front.push_back(Op(OP_SAVEFH));
      }
      front.push_back(PutFh(handles_.at(handle - 1)));
    }
    uint32_t minor = control >> 5 & 3;
    if (minor != 0) args.minorversion = minor - 1;
    if ((control & 1) != 0 && args.minorversion == 0) args.minorversion = 1;
    args.argarray.insert(args.argarray.begin(), front.begin(), front.end());
    if (args.argarray.size() > NFS4_MAX_OPS) return;
    xdr::Encoder to;
    Encode(to, args);
    ++harness_.xid;
    Learn(harness_.RunRaw(to.Flatten()));
    if ((control & 128) != 0) harness_.clock.Advance(std::chrono::seconds(11));
    if ((control & 128) != 0) harness_.server->Tick();
  }

  void Check() {
    auto problems = harness_.files->Check([](std::string_view line) {
      std::fprintf(stderr, "check: %.*s\n", static_cast<int>(line.size()), line.data());
    });
    FUZZ_REQUIRE(problems.ok() && *problems == 0);
  }

 private:
  // Puts the given things where their numbers stand.
  void Fill(Bytes& bytes) const {
    for (size_t at = 0; at + 8 <= bytes.size();) {
      auto number = std::to_integer<size_t>(bytes[at]);
      size_t run = 1;
      while (run < 40 && at + run < bytes.size() && bytes[at + run] == bytes[at]) ++run;
      const Things* things = run >= 40   ? &handles_
                             : run >= 16 ? &sessions_
                             : run >= 12 ? &stateids_
                             : run >= 8  ? &clients_
                                         : nullptr;
      if (number == 0 || number > kThings || things == nullptr) {
        at += 4;
        continue;
      }
      std::ranges::copy(things->at(number - 1), bytes.begin() + static_cast<ptrdiff_t>(at));
      at += things->size();
    }
  }

  void Learn(const Reply& reply) {
    if (reply.accepted != rpc::SUCCESS) return;
    for (const nfs_resop4& op : reply.result.resarray) {
      if (const auto* handle = std::get_if<GETFH4res>(&op.u)) {
        handles_.Learn(handle->resok4.object);
      } else if (const auto* open = std::get_if<OPEN4res>(&op.u)) {
        stateids_.Learn(open->resok4.stateid.other);
      } else if (const auto* lock = std::get_if<LOCK4res>(&op.u)) {
        stateids_.Learn(lock->resok4.lock_stateid.other);
      } else if (const auto* known = std::get_if<SETCLIENTID4res>(&op.u)) {
        clients_.Learn(Raw(xdr::SwapBig(known->resok4.clientid)));
        clients_.Learn(known->resok4.setclientid_confirm);
      } else if (const auto* made = std::get_if<EXCHANGE_ID4res>(&op.u)) {
        clients_.Learn(Raw(xdr::SwapBig(made->eir_resok4.eir_clientid)));
      } else if (const auto* session = std::get_if<CREATE_SESSION4res>(&op.u)) {
        sessions_.Learn(session->csr_resok4.csr_sessionid);
      }
    }
  }

  Harness harness_;
  Client41 client_;
  Things handles_{40};
  Things sessions_{16};
  Things stateids_{12};
  Things clients_{8};
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  ::testing::InitGoogleTest(argc, *argv);
  GTEST_FLAG_SET(throw_on_failure, true);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  xdr::Opaque left = std::as_bytes(std::span(data, size));
  World world;
  for (size_t i = 0; i < kRequestsMax && left.size() > 3; ++i) {
    auto control = std::to_integer<uint8_t>(left[0]);
    size_t words = std::to_integer<size_t>(left[1]) << 8 | std::to_integer<size_t>(left[2]);
    left = left.subspan(3);
    size_t bytes = std::min(words * 4, left.size());
    world.Run(control, left.first(bytes));
    left = left.subspan(bytes);
  }
  world.Check();
  return 0;
}
