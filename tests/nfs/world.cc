#include "tests/nfs/world.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "server/engine/local/local_engine.h"
#include "server/engine/memory/memory_engine.h"

namespace tarn::nfs_test {

TableExports::TableExports(uint32_t file_system, vfs::FileSystem& engine)
    : file_system_(file_system) {
  SetEngine(engine);
}

void TableExports::SetEngine(vfs::FileSystem& engine) {
  std::lock_guard lock(mutex_);
  auto with = [&engine](Export exported) {
    exported.engine = &engine;
    return std::make_shared<const Export>(std::move(exported));
  };
  Export root;
  root.file_system = file_system_;
  root.delegations = delegations_;
  auto id = engine.RealmRoot(vfs::kRootRealm);
  EXPECT_TRUE(id.ok());
  if (id.ok()) root.root = *id;
  root_ = with(root);
  for (auto& [name, exported] : by_name_) exported = with(*exported);
}

Result<std::shared_ptr<const Export>> TableExports::Root(uint64_t) {
  std::lock_guard lock(mutex_);
  return root_;
}

Result<std::shared_ptr<const Export>> TableExports::Enter(uint32_t file_system,
                                                          std::string_view name) {
  std::lock_guard lock(mutex_);
  auto found = by_name_.find(std::string(name));
  if (file_system != file_system_ || found == by_name_.end()) return Error(Code::kNotFound);
  return found->second;
}

Result<std::shared_ptr<const Export>> TableExports::Find(uint32_t file_system, uint64_t number) {
  std::lock_guard lock(mutex_);
  if (file_system != file_system_) return Error(Code::kNotFound);
  if (number == 0) return root_;
  for (const auto& [name, exported] : by_name_) {
    if (exported->number == number) return exported;
  }
  return Error(Code::kNotFound);
}

std::vector<std::shared_ptr<const Export>> TableExports::FileSystems() {
  std::lock_guard lock(mutex_);
  return {root_};
}

void TableExports::Add(const std::string& name, const Export& exported) {
  std::lock_guard lock(mutex_);
  by_name_[name] = std::make_shared<const Export>(exported);
}

void TableExports::SetDelegations(bool allowed) {
  std::lock_guard lock(mutex_);
  delegations_ = allowed;
  auto with = [allowed](Export exported) {
    exported.delegations = allowed;
    return std::make_shared<const Export>(std::move(exported));
  };
  root_ = with(*root_);
  for (auto& [name, exported] : by_name_) exported = with(*exported);
}

void TableExports::SetRights(Decide decide) {
  std::lock_guard lock(mutex_);
  decide_ = std::move(decide);
}

Rights TableExports::RightsOf(const rpc::Peer& /*peer*/, const Export& exported) {
  std::lock_guard lock(mutex_);
  return decide_ ? decide_(exported) : Rights();
}

void TableExports::SetGroups(Settle settle) {
  std::lock_guard lock(mutex_);
  settle_ = std::move(settle);
}

void TableExports::SettleGroups(vfs::Caller& caller) {
  std::lock_guard lock(mutex_);
  if (settle_) settle_(caller);
}

void TableExports::Remove(const std::string& name) {
  std::lock_guard lock(mutex_);
  by_name_.erase(name);
}

World::World(EngineKind kind) : kind_(kind) {
  if (kind_ == EngineKind::kLocal) {
    std::string pattern = (std::filesystem::temp_directory_path() / "tarn-nfs-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  OpenEngine();
  auto number = store_->CreateFileSystem();
  EXPECT_TRUE(number.ok());
  file_system_number_ = *number;
  file_system_ = *store_->GetFileSystem(file_system_number_);
  exports_ = std::make_unique<TableExports>(file_system_number_, *file_system_);
  Start();
}

World::~World() {
  Stop();
  store_.reset();
  if (!directory_.empty()) std::filesystem::remove_all(directory_);
}

void World::OpenEngine() {
  if (kind_ == EngineKind::kMemory) {
    if (store_) engine::SimulateRestart(*store_);
    if (!store_) store_ = engine::NewMemoryEngine(clock_);
    return;
  }
  store_.reset();
  LocalOptions options;
  options.data_dir = directory_;
  options.clock = &clock_;
  options.reserve_bytes = 1 << 20;
  auto opened = OpenLocalEngine(options);
  ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  store_ = std::move(*opened);
}

void World::Start() {
  ServerOptions options;
  options.lease = kLease;
  options.tick = std::chrono::milliseconds(0);  // the test says when
  auto nfs = Server::Start(options, *exports_, store_->records(), clock_);
  ASSERT_TRUE(nfs.ok()) << nfs.error().ToString();
  nfs_ = std::move(*nfs);
  auto rpc = rpc::Server::Start({}, *nfs_);
  ASSERT_TRUE(rpc.ok()) << rpc.error().ToString();
  rpc_ = std::move(*rpc);
  auto listener = rpc_->Listen("127.0.0.1", port_, 1);
  ASSERT_TRUE(listener.ok()) << listener.error().ToString();
  port_ = listener->port;
}

void World::Stop() {
  rpc_.reset();
  nfs_.reset();
}

void World::Restart() {
  Stop();
  OpenEngine();
  file_system_ = *store_->GetFileSystem(file_system_number_);
  exports_->SetEngine(*file_system_);
  Start();
}

void World::Advance(std::chrono::seconds by) {
  clock_.Advance(by);
  nfs_->Tick();
}

ClientOptions World::Options(uint32_t minor, const std::string& owner, uint64_t boot) const {
  ClientOptions options;
  options.port = port_;
  options.minor = minor;
  options.owner = owner;
  options.boot = boot;
  return options;
}

std::unique_ptr<Client> World::Mount(uint32_t minor, const std::string& owner, uint64_t boot,
                                     const Identity& identity) {
  ClientOptions options = Options(minor, owner, boot);
  options.identity = identity;
  auto client = Client::Mount(options);
  EXPECT_EQ(client.status, NFS4_OK);
  return std::move(client.value);
}

AccessPoint World::AddAccessPoint(const std::string& path, const vfs::CreationInfo& creation,
                                  const std::optional<PosixUser>& user, bool read_only) {
  auto realm = file_system_->EnsureRealm(path, creation);
  EXPECT_TRUE(realm.ok()) << realm.error().ToString();
  auto root = file_system_->RealmRoot(*realm);
  EXPECT_TRUE(root.ok());
  uint64_t number = next_export_++;
  std::string digits = std::to_string(number);
  AccessPoint point{.name = "fsap-" + std::string(17 - digits.size(), '0') + digits,
                    .realm = *realm};
  exports_->Add(point.name, {.file_system = file_system_number_,
                             .number = number,
                             .engine = file_system_,
                             .root = *root,
                             .realm = *realm,
                             .user = user,
                             .read_only = read_only});
  return point;
}

void World::SetQuota(const AccessPoint& point, const vfs::Quota& quota) {
  EXPECT_TRUE(file_system_->SetQuota(point.realm, quota).ok());
}

// --- what the suites share ---

namespace {

std::vector<Setting> With(std::initializer_list<uint32_t> minors) {
  std::vector<Setting> settings;
  for (EngineKind engine : {EngineKind::kMemory, EngineKind::kLocal}) {
    for (uint32_t minor : minors) settings.push_back({engine, minor});
  }
  return settings;
}

}  // namespace

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << (setting.engine == EngineKind::kMemory ? "memory" : "local") << "_4_" << setting.minor;
}

std::string NameOf(const ::testing::TestParamInfo<Setting>& info) {
  std::ostringstream name;
  PrintTo(info.param, &name);
  return name.str();
}

const std::vector<Setting>& EverySetting() {
  static const std::vector<Setting> settings = With({0, 1, 2});
  return settings;
}
const std::vector<Setting>& Settings40() {
  static const std::vector<Setting> settings = With({0});
  return settings;
}
const std::vector<Setting>& Settings41() {
  static const std::vector<Setting> settings = With({1, 2});
  return settings;
}
const std::vector<Setting>& Settings42() {
  static const std::vector<Setting> settings = With({2});
  return settings;
}

NfsTest::NfsTest() : world(GetParam().engine) {
  world.EndGrace();
  client = world.Mount(minor());
  if (client) root = client->Root().value;
}

Fh NfsTest::MakeFile(const Fh& directory, std::string_view name, std::string_view content,
                     uint32_t mode) {
  auto file = client->Create(directory, name, mode);
  EXPECT_EQ(file.status, NFS4_OK) << name;
  if (!content.empty()) {
    EXPECT_EQ(client->Write(file->fh, file->state, 0, AsOpaque(content)).status, NFS4_OK);
  }
  EXPECT_EQ(client->Close(*file), NFS4_OK);
  return file->fh;
}

std::string NfsTest::Content(const Fh& file) {
  auto read = client->Read(file, nfs_client::AnonymousState(), 0, 1 << 20);
  EXPECT_EQ(read.status, NFS4_OK);
  return AsText(read->data);
}

std::vector<std::string> NfsTest::Names(const Fh& directory) {
  auto entries = client->ReadAllOf(directory);
  EXPECT_EQ(entries.status, NFS4_OK);
  std::vector<std::string> names;
  for (const auto& entry : entries.value) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tarn::nfs_test
