#include "tests/sim/host.h"

#include <utility>

#include "server/engine/local/local_engine.h"
#include "server/engine/memory/memory_engine.h"

namespace tarn::sim {

using namespace nfs4;

namespace {

// What the server would take from a source of chance.
constexpr std::string_view kHandleKey = "0123456789abcdef";
constexpr std::string_view kServerId = "5eed5eed5eed5eed5eed5eed5eed5eed";

HandleKey KeyBytes() {
  HandleKey key{};
  std::copy_n(kHandleKey.data(), key.size(), reinterpret_cast<char*>(key.data()));
  return key;
}

}  // namespace

class Exported : public Exports {
 public:
  Exported(uint32_t number, vfs::FileSystem& files) {
    Export root;
    root.file_system = number;
    root.engine = &files;
    root.root = files.RealmRoot(vfs::kRootRealm).value();
    root_ = std::make_shared<const Export>(root);
  }
  Result<std::shared_ptr<const Export>> Root(uint64_t) override { return root_; }
  Result<std::shared_ptr<const Export>> Enter(uint32_t, std::string_view) override {
    return Error(Code::kNotFound);
  }
  Result<std::shared_ptr<const Export>> Find(uint32_t, uint64_t) override { return root_; }
  std::vector<std::shared_ptr<const Export>> FileSystems() override { return {root_}; }
  const Export& root() const { return *root_; }

 private:
  std::shared_ptr<const Export> root_;
};

Host::Host(EngineKind kind, ManualClock& clock, Random& random)
    : kind_(kind), clock_(clock), random_(random), fault_random_(random.Next()) {
  if (kind_ == EngineKind::kLocal) disk_ = std::make_unique<local::SimulatedDisk>();
}

Host::~Host() {
  Kill(Death::kKill);
}

std::string Host::OpenEngine() {
  bool first = number_ == 0;
  if (kind_ == EngineKind::kMemory) {
    if (first) engine_ = engine::NewMemoryEngine(clock_);
    if (!first) engine::SimulateRestart(*engine_);
  } else {
    LocalOptions options;
    options.data_dir = "/data";
    options.clock = &clock_;
    options.disk = disk_.get();
    options.own_thread = false;
    options.reserve_bytes = 16 << 20;
    options.block_cache_bytes = 1 << 20;
    options.write_buffer_bytes = 4 << 20;
    options.inodes_cached = 16;  // so that many are read again
    options.files_open = 4;
    options.write_back_after = std::chrono::seconds(5);
    disk_->SetHook([this](const local::SimulatedDisk::Call& call) { return OnDiskCall(call); });
    auto opened = OpenLocalEngine(options);
    if (!opened.ok()) return opened.error().ToString();
    engine_ = std::move(*opened);
  }
  if (first) {
    auto made = engine_->CreateFileSystem();
    if (!made.ok()) return made.error().ToString();
    number_ = *made;
    bool put = engine_->records().Put("nfs/handle-key", kHandleKey).ok() &&
               engine_->records().Put("nfs/server-id", kServerId).ok();
    if (!put) return "the first records were not taken";
  }
  auto files = engine_->GetFileSystem(number_);
  if (!files.ok()) return files.error().ToString();
  files_ = *files;
  return "";
}

std::string Host::Start() {
  std::string wrong = OpenEngine();
  if (wrong.empty()) wrong = StartServer();
  if (wrong.empty()) {
    ++run_;
    disk_failed_ = std::exchange(failed_before_, failed_calls_) != failed_calls_;
    return "";
  }
  exports_.reset();
  if (kind_ == EngineKind::kLocal) engine_.reset();
  return wrong;
}

std::string Host::StartServer() {
  fence_ = std::make_unique<Fence>();
  fenced_files_ = Fenced(*files_, *fence_);
  fenced_records_ = Fenced(engine_->records(), *fence_);
  exports_ = std::make_unique<Exported>(number_, *fenced_files_);
  ServerOptions options;
  options.lease = kLease;
  options.tick = std::chrono::milliseconds(0);
  auto started = Server::Start(options, *exports_, *fenced_records_, clock_);
  if (!started.ok()) return started.error().ToString();
  server_ = std::move(*started);
  return "";
}

void Host::Kill(Death how) {
  if (!server_) return;
  fence_->Die();
  Calm calm(*this);
  if (disk_ && !left_) Leave(how);
  server_.reset();
  exports_.reset();
  if (kind_ == EngineKind::kLocal) engine_.reset();
  if (left_) disk_ = std::move(left_);
}

void Host::Leave(Death how) {
  lost_power_ = how == Death::kPowerCut;
  left_ = lost_power_ ? disk_->CutPower(random_.Next()) : disk_->Copy();
}

void Host::Arm(const DieIn& die) {
  die_ = die;
  fence_->DieAfter(die.changes);
}

bool Host::Disarm() {
  die_ = {};
  fence_->DieAfter(0);
  return fence_->dead();
}

void Host::SetFaults(const Faults& faults) {
  faults_ = faults;
  if (!disk_) return;
  uint64_t used = disk_->used() + faults.left_bytes;
  uint64_t capacity = local::SimulatedDisk::kCapacityDefault;
  disk_->SetOthers(faults.left_bytes == 0 || used > capacity ? 0 : capacity - used);
}

int Host::Fault(const local::SimulatedDisk::Call& call) {
  if (std::this_thread::get_id() != thread_ || left_ || calm_ > 0 || !faults_.any()) return 0;
  if (faults_.slow_ms != 0 && call.kind == local::SimulatedDisk::Kind::kSync) {
    clock_.Advance(std::chrono::milliseconds(fault_random_.Below(faults_.slow_ms)));
  }
  if (!faults_.Hits(call) || !fault_random_.Chance(faults_.of_thousand)) return 0;
  ++failed_calls_;
  return faults_.error;
}

int Host::OnDiskCall(const local::SimulatedDisk::Call& call) {
  using Call = local::SimulatedDisk::Kind;
  if (int error = Fault(call); error != 0) return error;
  bool reads = call.kind == Call::kRead || call.kind == Call::kStat || call.kind == Call::kList;
  if (reads) return 0;
  bool counts = std::this_thread::get_id() == thread_ && !left_;
  if (counts && die_.disk_calls > 0 && --die_.disk_calls == 0) {
    fence_->Die();
    Leave(die_.how);
  }
  return 0;
}

bool Host::Tick(const DieIn& die) {
  Arm(die);
  server_->Tick();
  if (kind_ == EngineKind::kLocal && !fence_->dead()) MaintainLocalEngine(*engine_);
  return Disarm();
}

Host::Execution Host::Execute(const Request& request, uint64_t connection, const DieIn& die) {
  std::vector<std::byte> bytes =
      Encode(request.op, request.minor, request.sequence ? &*request.sequence : nullptr);
  rpc::Credential credential{.flavor = rpc::AUTH_SYS, .uid = 0, .gid = 0, .gids = {}};
  rpc::Peer peer{.connection = connection,
                 .address = "192.0.2." + std::to_string(request.actor),
                 .port = 700,
                 .listener = 1};
  rpc::Call call{.xid = request.xid,
                 .version = NFS4_VERSION,
                 .procedure = NFSPROC4_COMPOUND,
                 .credential = credential,
                 .peer = peer};
  Arm(die);
  xdr::Decoder from(bytes);
  xdr::Encoder to;
  (void)server_->Handle(call, from, to);
  return {.died = Disarm(), .reply = to.Flatten()};
}

Fh Host::RootHandle() const {
  HandleBytes bytes =
      HandleCodec(KeyBytes())
          .Seal({.file_system = number_, .export_number = 0, .file = exports_->root().root});
  auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

vfs::FileId Host::FileOf(const Fh& handle) const {
  auto opened = HandleCodec(KeyBytes()).Open(handle);
  return opened ? opened->file : vfs::FileId{};
}

}  // namespace tarn::sim
