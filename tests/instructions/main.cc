// tarn-instructions: runs calls of the NFS server one after another in one thread, with the local
// engine below and no socket above, so that callgrind can count the instructions of each kind.
// Without valgrind it only checks that the calls succeed.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/crypto/secret_bytes.h"
#include "common/log.h"
#include "server/engine/local/local_engine.h"
#include "server/nfs4/testing/harness.h"
#include "server/rpc/call_header.h"
#include "tests/nfs/client/client.h"

namespace tarn {
namespace {

using namespace nfs4;  // NOLINT(google-build-using-namespace)
using nfs_client::AsOpaque;
using nfs_client::Compound;
using nfs_client::CompoundReply;
using nfs_client::Fh;
using Bytes = std::vector<std::byte>;

constexpr uint32_t kCalls = 400;
constexpr uint32_t kBulkCalls = 20;
constexpr uint32_t kIoBytes = 4096;
constexpr uint64_t kFileBytes = 1 << 20;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "tarn-instructions: %s\n", why.c_str());
  std::exit(1);
}

class Driver {
 public:
  // `key`: of the file system; nullptr: it is not encrypted.
  explicit Driver(const SecretBytes* key);
  ~Driver() {
    server_.reset();
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Not counted; the calls must succeed.
  CompoundReply Run(const Compound& compound, bool in_session = true);
  // Each is encoded before, and run counted, after as many uncounted ones.
  template <typename Make>
  void Measure(const char* name, Make make, uint32_t calls = kCalls);
  const Fh& root() const { return root_; }
  void Start();

 private:
  Bytes Encode(const Compound& compound, bool in_session);
  void Handle(const Bytes& call);

  std::string directory_;
  std::unique_ptr<vfs::Engine> engine_;
  std::unique_ptr<nfs4::testing::TableExports> exports_;
  std::unique_ptr<nfs4::Server> server_;
  rpc::Peer peer_{.connection = 1, .address = "192.0.2.2", .port = 700, .listener = 1};
  rpc::CallHeader header_;
  rpc::rejected_reply denied_;
  xdr::Encoder reply_;
  sessionid4 session_{};
  uint32_t sequence_ = 0;
  Fh root_;
};

Driver::Driver(const SecretBytes* key) {
  std::string pattern = std::filesystem::temp_directory_path() / "tarn-instructions-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) Die("no temporary directory");
  directory_ = pattern;
  auto engine = OpenLocalEngine({.data_dir = directory_});
  if (!engine.ok()) Die(engine.error().ToString());
  engine_ = std::move(engine).value();
  auto number = engine_->CreateFileSystem(key);
  if (!number.ok()) Die(number.error().ToString());
  auto root = std::make_shared<Export>();
  root->file_system = *number;
  root->engine = *engine_->GetFileSystem(*number);
  root->root = *root->engine->RealmRoot(vfs::kRootRealm);
  exports_ = std::make_unique<nfs4::testing::TableExports>(root);
  auto server = nfs4::Server::Start({.tick = std::chrono::milliseconds(0)}, *exports_,
                                    engine_->records(), SystemClock());
  if (!server.ok()) Die(server.error().ToString());
  server_ = std::move(server).value();
}

Bytes Driver::Encode(const Compound& compound, bool in_session) {
  xdr::Encoder credential;
  rpc::Encode(credential, rpc::authsys_parms{.stamp = 1, .machinename = "client"});
  Bytes body = credential.Flatten();
  xdr::Encoder to;
  to.Put(uint32_t{1});
  rpc::Encode(to, rpc::CALL);
  rpc::Encode(to, rpc::call_body{.rpcvers = rpc::RPC_VERSION,
                                 .prog = NFS4_PROGRAM,
                                 .vers = NFS4_VERSION,
                                 .proc = NFSPROC4_COMPOUND,
                                 .cred = {.flavor = rpc::AUTH_SYS, .body = body},
                                 .verf = {}});
  SEQUENCE4args sequence{.sa_sessionid = session_,
                         .sa_sequenceid = in_session ? ++sequence_ : 0,
                         .sa_slotid = 0,
                         .sa_highest_slotid = 0,
                         .sa_cachethis = false};
  to.PutRaw(compound.Head(1, in_session ? &sequence : nullptr).Flatten());
  to.PutRaw(compound.ops().Flatten());
  return to.Flatten();
}

void Driver::Handle(const Bytes& call) {
  xdr::Decoder from(call);
  if (ReadCallHeader(from, header_, denied_) != rpc::HeaderStatus::kCall) Die("no call");
  rpc::BeginReply(reply_, header_.xid);
  rpc::Call about{.xid = header_.xid,
                  .version = header_.version,
                  .procedure = header_.procedure,
                  .credential = header_.credential,
                  .peer = peer_};
  if (server_->Handle(about, from, reply_) != rpc::SUCCESS) Die("the call was not understood");
  rpc::FinishReply(reply_);
}

CompoundReply Driver::Run(const Compound& compound, bool in_session) {
  Bytes call = Encode(compound, in_session);
  Handle(call);
  Bytes bytes = reply_.Flatten();
  constexpr size_t kResultsAt = 7 * 4;
  nfs_client::RpcReply reply;
  auto record = std::make_unique<std::byte[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), record.get());
  reply.record = {std::move(record), bytes.size()};
  reply.results = kResultsAt;
  CompoundReply result(std::move(reply), in_session);
  if (result.status != NFS4_OK) Die("the server answered " + std::string(Name(result.status)));
  return result;
}

template <typename Make>
void Driver::Measure(const char* name, Make make, uint32_t calls) {
  for (uint32_t i = 0; i < calls; ++i) (void)Run(make(i));
  std::vector<Bytes> encoded;
  for (uint32_t i = 0; i < calls; ++i) encoded.push_back(Encode(make(calls + i), true));
  for (const Bytes& call : encoded) {
    CALLGRIND_TOGGLE_COLLECT;
    Handle(call);
    CALLGRIND_TOGGLE_COLLECT;
  }
  CALLGRIND_DUMP_STATS_AT(name);
  std::printf("%s %u\n", name, calls);
}

void Driver::Start() {
  Compound exchange;
  exchange.Add(
      OP_EXCHANGE_ID,
      EXCHANGE_ID4args{.eia_clientowner = {.co_verifier = {}, .co_ownerid = AsOpaque("client")},
                       .eia_flags = 0,
                       .eia_state_protect = {},
                       .eia_client_impl_id = {}});
  auto known = Run(exchange, false).Get<EXCHANGE_ID4res>(0).eir_resok4;
  channel_attrs4 channel{.ca_headerpadsize = 0,
                         .ca_maxrequestsize = (1 << 20) + 4096,
                         .ca_maxresponsesize = (1 << 20) + 4096,
                         .ca_maxresponsesize_cached = 4096,
                         .ca_maxoperations = 16,
                         .ca_maxrequests = 1,
                         .ca_rdma_ird = {}};
  Compound create;
  create.Add(OP_CREATE_SESSION, CREATE_SESSION4args{.csa_clientid = known.eir_clientid,
                                                    .csa_sequence = known.eir_sequenceid,
                                                    .csa_flags = 0,
                                                    .csa_fore_chan_attrs = channel,
                                                    .csa_back_chan_attrs = channel,
                                                    .csa_cb_program = 1,
                                                    .csa_sec_parms = {{}}});
  session_ = Run(create, false).Get<CREATE_SESSION4res>(0).csr_resok4.csr_sessionid;
  Compound complete;
  complete.Add(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{.rca_one_fs = false});
  (void)Run(complete);
  Compound root;
  root.Root().GetFh();
  auto found = Run(root);
  xdr::Opaque fh = found.Get<GETFH4res>(1).resok4.object;
  root_.assign(fh.begin(), fh.end());
}

Compound OpenNew(const Fh& directory, const std::string& name) {
  Compound compound;
  compound.OpenNew(directory, "owner", name);
  return compound;
}

struct Data {
  Fh file;
  stateid4 state;
};

// A file of kFileBytes, open, and all of it in its chunk file.
Data MakeData(Driver& driver, const Bytes& bytes) {
  auto opened = driver.Run(OpenNew(driver.root(), "data"));
  xdr::Opaque fh = opened.Get<GETFH4res>(2).resok4.object;
  Data data{Fh(fh.begin(), fh.end()), opened.Get<OPEN4res>(1).resok4.stateid};
  for (uint64_t at = 0; at < kFileBytes; at += bytes.size()) {
    Compound write;
    write.Put(data.file).Add(
        OP_WRITE,
        WRITE4args{.stateid = data.state, .offset = at, .stable = FILE_SYNC4, .data = bytes});
    (void)driver.Run(write);
  }
  return data;
}

void MeasureBulk(Driver& driver, const char* read, const char* write) {
  Bytes bytes(kFileBytes, std::byte{0x5a});
  Data data = MakeData(driver, bytes);
  driver.Measure(
      read,
      [&](uint32_t) {
        Compound c;
        c.Put(data.file).Add(OP_READ,
                             READ4args{.stateid = data.state, .offset = 0, .count = kFileBytes});
        return c;
      },
      kBulkCalls);
  driver.Measure(
      write,
      [&](uint32_t) {
        Compound c;
        c.Put(data.file).Add(
            OP_WRITE,
            WRITE4args{.stateid = data.state, .offset = 0, .stable = UNSTABLE4, .data = bytes});
        return c;
      },
      kBulkCalls);
}

void MeasureAll(Driver& driver) {
  const Fh& root = driver.root();
  Bytes data(kFileBytes / 2, std::byte{0x5a});
  const Data made = MakeData(driver, data);
  const Fh& file = made.file;
  const stateid4& state = made.state;
  xdr::Opaque piece = xdr::Opaque(data).first(kIoBytes);
  auto place = [](uint32_t i) { return i * uint64_t{kIoBytes} % kFileBytes; };
  driver.Measure("GETATTR", [&](uint32_t) {
    Compound c;
    c.Put(file).GetAttr(nfs_client::UsualAttributes());
    return c;
  });
  driver.Measure("LOOKUP", [&](uint32_t) {
    Compound c;
    c.Put(root).Lookup("data").GetFh().GetAttr(nfs_client::UsualAttributes());
    return c;
  });
  driver.Measure("READ", [&](uint32_t i) {
    Compound c;
    c.Put(file).Add(OP_READ, READ4args{.stateid = state, .offset = place(i), .count = kIoBytes});
    return c;
  });
  driver.Measure("WRITE", [&](uint32_t i) {
    Compound c;
    c.Put(file).Add(
        OP_WRITE,
        WRITE4args{.stateid = state, .offset = place(i), .stable = UNSTABLE4, .data = piece});
    return c;
  });
  driver.Measure("CREATE", [&](uint32_t i) { return OpenNew(root, "new-" + std::to_string(i)); });
}

}  // namespace
}  // namespace tarn

int main() {
  spdlog::set_level(spdlog::level::warn);  // the output is counts alone
  {
    tarn::Driver driver(nullptr);
    driver.Start();
    tarn::MeasureAll(driver);
  }
  const tarn::SecretBytes key(std::string(tarn::vfs::kKeyBytes, 'k'));
  const std::pair<const tarn::SecretBytes*, std::pair<const char*, const char*>> kinds[] = {
      {nullptr, {"READ_MIB", "WRITE_MIB"}}, {&key, {"READ_MIB_SEALED", "WRITE_MIB_SEALED"}}};
  for (const auto& [given, names] : kinds) {
    tarn::Driver driver(given);
    driver.Start();
    tarn::MeasureBulk(driver, names.first, names.second);
  }
  return 0;
}
