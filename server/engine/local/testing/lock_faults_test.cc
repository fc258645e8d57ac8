// Locks of an encrypted file system on a disk that fails meanwhile: what was stable stays, what was
// not is told lost, and the file system serves again.
#include "common/crypto/secret_bytes.h"
#include "server/engine/local/testing/disk_faults_fixture.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

class LockFaults : public DiskFaults {
 protected:
  LockFaults() {
    number_ = engine_->CreateFileSystem(&key_).value();
    UseEncrypted();
    kept_ = Make("kept");
    EXPECT_TRUE(Write(kept_, 0, Bytes(), Stability::kFileSync).ok());
    EXPECT_TRUE(Write(kept_, 1 << 20, Bytes(), Stability::kFileSync).ok());
  }
  void UseEncrypted() {
    fs_ = *engine_->GetFileSystem(number_);
    auto root = fs_->RealmRoot(kRootRealm);
    if (root) top_ = *root;
  }
  void LockFailsAndServesAgain() {
    uint64_t verifier = fs_->WriteVerifier();
    FileId unstable = Make("unstable");
    uint64_t change = fs_->GetAttributes(kRoot, unstable)->change;
    ASSERT_TRUE(Write(unstable, 0, std::string(100'000, 'a'), Stability::kUnstable).ok());
    ASSERT_TRUE(Write(kept_, 0, Bytes(), Stability::kUnstable).ok());
    uint64_t seen = fs_->GetAttributes(kRoot, unstable)->change;
    EXPECT_GT(seen, change);
    Break(EIO, fails_);
    EXPECT_FALSE(engine_->Lock(number_, LockReason::kKeyTakenAway).ok());
    EXPECT_EQ(fs_->GetAttributes(kRoot, unstable).code(), Code::kDenied);
    Heal();
    ASSERT_EQ(engine_->Unlock(number_, key_).code(), Code::kOk);
    EXPECT_NE(fs_->WriteVerifier(), verifier) << "what was written is lost, so clients must know";
    ExpectKept();
    // As a client does then; it must not take its cached bytes for the file's.
    ASSERT_TRUE(Write(unstable, 0, std::string(1000, 'b'), Stability::kFileSync).ok());
    EXPECT_GT(fs_->GetAttributes(kRoot, unstable)->change, seen);
    ExpectProblemsNone();
    auto after = disk_.CutPower(5);
    engine_.reset();
    options_.disk = after.get();
    Open();
    ASSERT_EQ(engine_->Unlock(number_, key_).code(), Code::kOk);
    UseEncrypted();
    ExpectKept();
    EXPECT_EQ(Read(unstable, 0, 1000), std::string(1000, 'b'));
    ExpectProblemsNone();
    engine_.reset();
  }

  const SecretBytes key_{std::string(kKeyBytes, 'k')};
  uint32_t number_ = 0;
  std::function<bool(const SimulatedDisk::Call&)> fails_;
};

TEST_F(LockFaults, ChunkFilesThatCannotBeSynced) {
  fails_ = [](const SimulatedDisk::Call& call) {
    return call.kind == Kind::kSync && call.path.find("/chunks/") != std::string::npos;
  };
  LockFailsAndServesAgain();
}

TEST_F(LockFaults, ALogThatCannotBeWritten) {
  fails_ = [](const SimulatedDisk::Call& call) {
    bool writes = call.kind == Kind::kSync || call.kind == Kind::kWrite;
    return writes && call.path.find("/meta/") != std::string::npos;
  };
  LockFailsAndServesAgain();
}

}  // namespace
}  // namespace tarn::local
