// The node service with a tunnel: volumes that are mounted for each pod with its identity.
#include "common/files.h"
#include "csi/node/pod_mounts_fixture.h"

namespace tarn::csi {
namespace {

using AccessMode = pb::VolumeCapability::AccessMode;
using grpc::StatusCode;
using testing::HasSubstr;
using testing::Not;

constexpr char kPlainExport[] = "/fsap-0123456789abcdef1";

TEST_F(PodMountsTest, EachPodHasAMountOfItsOwnWithItsIdentity) {
  ASSERT_TRUE(Stage(RequestOf("a")).ok());
  EXPECT_EQ(host.made(), 0);
  ASSERT_TRUE(Publish(RequestOf("a", "token-a")).ok());
  ASSERT_TRUE(Publish(RequestOf("b", "token-b")).ok());
  EXPECT_EQ(Source("a"), Opened("a").address + ":/");
  EXPECT_EQ(Source("b"), Opened("b").address + ":/");
  EXPECT_NE(Opened("a").address, Opened("b").address);
  const auto& request = Opened("a").request;
  EXPECT_EQ(request.server, "10.0.0.1:2049");
  EXPECT_EQ(request.server_name, "fs-0123456789abcdef0.efs.tarn");
  EXPECT_EQ(request.authority_pem, "the authority");
  EXPECT_TRUE(request.id.starts_with("csi.a."));
  auto certificate = Read(request.certificate_pem);
  EXPECT_EQ(certificate.identity.token, "token-a");
  EXPECT_EQ(certificate.identity.access_point_id, "fsap-0123456789abcdef1");
  EXPECT_EQ(certificate.identity.file_system_id, "fs-0123456789abcdef0");
  EXPECT_EQ(certificate.identity.client_info->source, "tarn-csi");
  EXPECT_EQ(certificate.not_after.time_since_epoch(), clock.Now() + std::chrono::hours(1));
  EXPECT_EQ(Read(Opened("b").request.certificate_pem).identity.token, "token-b");
  EXPECT_NE(Opened("b").request.key_pem, request.key_pem);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Unpublish("a").ok());
    EXPECT_TRUE(Unpublish("b").ok());
  }
  EXPECT_TRUE(tunnel.mounts.empty());
  EXPECT_TRUE(host.Mounts()->empty());
  EXPECT_FALSE(host.HasDirectory(Target("a")));
}

TEST_F(PodMountsTest, PublishingAgainRenewsOnlyWhatIsNew) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Publish(RequestOf("a", "t1")).ok());
  EXPECT_EQ(Opened("a").times, 1);
  ASSERT_TRUE(Publish(RequestOf("a", "t2")).ok());
  EXPECT_EQ(Opened("a").times, 2);
  EXPECT_EQ(Read(Opened("a").request.certificate_pem).identity.token, "t2");
  std::ofstream(dir + "/ca.crt") << "two authorities";
  ASSERT_TRUE(Publish(RequestOf("a", "t2")).ok());
  EXPECT_EQ(Opened("a").times, 3);
  auto moved = RequestOf("a", "t2");
  (*moved.mutable_volume_context())[kNfsAddressKey] = "10.0.0.2:2049";
  ASSERT_TRUE(Publish(moved).ok());
  EXPECT_EQ(Opened("a").request.server, "10.0.0.2:2049");
  Restart();  // nobody remembers what is in the certificate
  ASSERT_TRUE(Publish(moved).ok());
  EXPECT_EQ(Opened("a").times, 5);
  EXPECT_EQ(host.made(), 1);
}

TEST_F(PodMountsTest, ACertificateIsRenewedBeforeItsEnd) {
  auto request = RequestOf("a", "");  // no token, so it is good for as long as we make it
  ASSERT_TRUE(Publish(request).ok());
  clock.Advance(std::chrono::hours(1));
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_EQ(Opened("a").times, 1);
  clock.Advance(std::chrono::minutes(61));
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_EQ(Opened("a").times, 2);
  EXPECT_EQ(host.made(), 1);
}

TEST_F(PodMountsTest, TokensComeFromSecretsTooAndAreNeverInFilesOrErrors) {
  auto request = RequestOf("a", "");
  (*request.mutable_secrets())[kTokensKey] = Tokens("from-secrets");
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_EQ(Read(Opened("a").request.certificate_pem).identity.token, "from-secrets");
  ASSERT_TRUE(Publish(RequestOf("a", "from-context")).ok());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir + "/state")) {
    if (!entry.is_regular_file()) continue;
    auto text = ReadSmallFile(entry.path());
    EXPECT_THAT(*text, Not(HasSubstr("from-"))) << entry.path();
  }
  auto bad = RequestOf("b", "");
  (*bad.mutable_volume_context())[kTokensKey] = "secret-text";
  auto status = Publish(bad);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), Not(HasSubstr("secret-text")));
  EXPECT_THAT(Describe(bad), Not(HasSubstr("secret-text")));
  auto expired = RequestOf("c", "old");
  clock.Advance(std::chrono::hours(2));
  status = Publish(expired);
  EXPECT_EQ(status.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("pod shop/web-c"));
}

TEST_F(PodMountsTest, WithoutATokenOnlyIamIsRefused) {
  auto request = RequestOf("a", "");
  (*request.mutable_volume_context())[kTokensKey] = Tokens("other", "sts.example");
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_FALSE(Read(Opened("a").request.certificate_pem).identity.token.has_value());
  auto iam = RequestOf("b", "");
  iam.mutable_volume_capability()->mutable_mount()->add_mount_flags("iam");
  EXPECT_THAT(Publish(iam).error_message(), HasSubstr("tokenRequests"));
  iam = RequestOf("b", "t");
  for (const char* flag : {"tls", "iam", "accesspoint=fsap-0123456789abcdef1"}) {
    iam.mutable_volume_capability()->mutable_mount()->add_mount_flags(flag);
  }
  EXPECT_TRUE(Publish(iam).ok());
}

TEST_F(PodMountsTest, AnAccessPointOfTheMountOptions) {
  auto request = RequestOf("a");
  request.set_volume_id("fs-0123456789abcdef0:/sub");
  auto* mount = request.mutable_volume_capability()->mutable_mount();
  mount->add_mount_flags("accesspoint=fsap-0123456789abcdef7");
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_EQ(Source("a"), Opened("a").address + ":/sub");
  EXPECT_EQ(Read(Opened("a").request.certificate_pem).identity.access_point_id,
            "fsap-0123456789abcdef7");
}

TEST_F(PodMountsTest, OptionsThatContradict) {
  auto plain = RequestOf("a");
  (*plain.mutable_volume_context())["encryptInTransit"] = "false";
  plain.mutable_volume_capability()->mutable_mount()->add_mount_flags("tls");
  EXPECT_EQ(Publish(plain).error_message(),
            "Found tls in mountOptions but encryptInTransit is false");
  plain.mutable_volume_capability()->mutable_mount()->set_mount_flags(0, "iam");
  EXPECT_THAT(Publish(plain).error_message(), HasSubstr("\"tls\" option is required"));
  auto other = RequestOf("a");
  auto* mount = other.mutable_volume_capability()->mutable_mount();
  mount->add_mount_flags("accesspoint=fsap-0123456789abcdef7");
  EXPECT_EQ(Publish(other).error_message(),
            "Found conflicting access point IDs in mountOptions (fsap-0123456789abcdef7) and "
            "volumeHandle (fsap-0123456789abcdef1)");
}

TEST_F(PodMountsTest, PlainVolumesAreStagedAsEver) {
  auto request = RequestOf("a");
  (*request.mutable_volume_context())["encryptInTransit"] = "false";
  ASSERT_TRUE(Stage(request).ok());
  ASSERT_TRUE(Publish(request).ok());
  EXPECT_TRUE(tunnel.mounts.empty());
  EXPECT_EQ(Source("a"), std::string("10.0.0.1:2049:") + kPlainExport);
  ASSERT_TRUE(Unpublish("a").ok());
}

TEST_F(PodMountsTest, WithoutATunnelEncryptionIsRefusedNotForgotten) {
  Restart(/*with_tunnel=*/false, /*encrypted=*/false);
  auto request = RequestOf("a");
  (*request.mutable_volume_context())["encryptInTransit"] = "true";
  for (const auto& status : {Stage(request), Publish(request)}) {
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("tarn-tunnel"));
  }
  EXPECT_EQ(host.made(), 0);
}

TEST_F(PodMountsTest, RunningPodsKeepWhatTheyHaveWhenTheDefaultChanges) {
  Restart(true, /*encrypted=*/false);
  ASSERT_TRUE(Stage(RequestOf("plain")).ok());
  ASSERT_TRUE(Publish(RequestOf("plain")).ok());
  Restart();
  ASSERT_TRUE(Publish(RequestOf("plain")).ok());
  ASSERT_TRUE(Publish(RequestOf("tls")).ok());
  EXPECT_EQ(Source("plain"), std::string("10.0.0.1:2049:") + kPlainExport);
  Restart(true, /*encrypted=*/false);
  ASSERT_TRUE(Publish(RequestOf("tls", "t2")).ok());
  EXPECT_EQ(Source("tls"), Opened("tls").address + ":/");
  EXPECT_EQ(Opened("tls").times, 2);
  EXPECT_EQ(host.made(), 2);
  ASSERT_TRUE(Unpublish("plain").ok());
  ASSERT_TRUE(Unpublish("tls").ok());
  EXPECT_TRUE(tunnel.mounts.empty());
}

TEST_F(PodMountsTest, ADenialSaysWhoAndLeavesNothing) {
  host.mount_answer = Error(Code::kDenied, "Could not mount");
  tunnel.last_error = "the server ended the handshake";
  auto status = Publish(RequestOf("a", "secret-token"));
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  for (const char* part :
       {"access denied", "fs-0123456789abcdef0", "pod shop/web-a", "ServiceAccount front",
        "'tarnctl whynot web-a CLAIM -n shop'", "ended the handshake"}) {
    EXPECT_THAT(status.error_message(), HasSubstr(part));
  }
  EXPECT_THAT(status.error_message(), Not(HasSubstr("secret-token")));
  EXPECT_TRUE(tunnel.mounts.empty());
  host.mount_answer = Ok();
  EXPECT_TRUE(Publish(RequestOf("a")).ok());
}

TEST_F(PodMountsTest, WaitsForTheAuthorityAndTheTunnel) {
  std::filesystem::remove(dir + "/ca.crt");
  auto status = Publish(RequestOf("a"));
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("tarn-nfs-ca"));
  std::ofstream(dir + "/ca.crt") << "the authority";
  tunnel.answer = Error(Code::kUnavailable, "nobody there");
  EXPECT_EQ(Publish(RequestOf("a")).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Unpublish("a").ok());  // a tunnel that is away keeps no pod
  tunnel.answer = Ok();
  EXPECT_TRUE(Publish(RequestOf("a")).ok());
  tunnel.answer = Error(Code::kUnavailable, "nobody there");
  EXPECT_TRUE(Publish(RequestOf("a")).ok());  // nothing new, nothing to say
  EXPECT_TRUE(Unpublish("a").ok());
  tunnel.answer = Ok();
  EXPECT_EQ(tunnel.mounts.size(), 1u);
  volumes->RepairAll();
  EXPECT_TRUE(tunnel.mounts.empty());
}

TEST_F(PodMountsTest, ClosesWhatCarriesNoMountAndNothingElse) {
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  ASSERT_TRUE(Publish(RequestOf("gone")).ok());
  ASSERT_TRUE(tunnel.Open({"mount.efs.1", "s:1", "n", "", "", ""}).ok());
  ASSERT_TRUE(host.Unmount(Target("gone"), true).ok());  // by hand, or in a restart of the machine
  Restart();
  volumes->RepairAll();
  EXPECT_EQ(tunnel.mounts.size(), 2u);
  EXPECT_TRUE(tunnel.mounts.contains("mount.efs.1"));
  EXPECT_TRUE(tunnel.mounts.contains(pods->MountId(Target("a"))));
}

TEST_F(PodMountsTest, LogsOfMountsThatAreLongGoneAreRemoved) {
  namespace fs = std::filesystem;
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  fs::create_directories(dir + "/log");
  std::string own = pods->MountId(Target("a"));
  for (const std::string& name : {own, std::string("csi.gone.1"), std::string("fsap-1")}) {
    std::ofstream(dir + "/log/" + name + ".log") << "text";
    fs::last_write_time(dir + "/log/" + name + ".log",
                        fs::file_time_type::clock::now() - std::chrono::hours(25));
  }
  std::ofstream(dir + "/log/csi.gone.2.log") << "text";  // of today: somebody may ask why it failed
  volumes->RepairAll();
  EXPECT_FALSE(fs::exists(dir + "/log/csi.gone.1.log"));
  for (const std::string& name : {own, std::string("csi.gone.2"), std::string("fsap-1")}) {
    EXPECT_TRUE(fs::exists(dir + "/log/" + name + ".log")) << name;
  }
}

TEST_F(PodMountsTest, ADeadMountIsMadeAgain) {
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  auto reader = RequestOf("reader");
  reader.set_readonly(true);
  ASSERT_TRUE(Publish(reader).ok());
  EXPECT_TRUE(FindMount(*host.Mounts(), Target("reader"))->read_only());
  host.Kill();
  Restart();
  EXPECT_EQ(volumes->RepairAll(), 2);
  EXPECT_TRUE(host.Check(Target("a")).ok());
  EXPECT_TRUE(FindMount(*host.Mounts(), Target("reader"))->read_only());
  EXPECT_EQ(Source("a"), Opened("a").address + ":/");
  EXPECT_EQ(Opened("a").times, 1);  // with the certificate that the tunnel has
  host.Kill();
  ASSERT_TRUE(Publish(RequestOf("a", "t2")).ok());  // or by kubelet's next call
  EXPECT_TRUE(host.Check(Target("a")).ok());
  EXPECT_EQ(host.Mounts()->size(), 2u);
}

TEST_F(PodMountsTest, ATunnelThatForgotGetsItAgain) {
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  std::string before = Source("a");
  tunnel.mounts.clear();
  volumes->RepairAll();
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  EXPECT_NE(Source("a"), before);  // another address: only a new mount leads there
  EXPECT_EQ(Source("a"), Opened("a").address + ":/");
  EXPECT_EQ(host.Mounts()->size(), 1u);
}

TEST_F(PodMountsTest, AReadOnlyMountOptionIsNoContradictionLater) {
  for (const char* token : {"t1", "t1", "t2"}) {
    auto request = RequestOf("a", token);
    request.mutable_volume_capability()->mutable_mount()->add_mount_flags("ro");
    ASSERT_TRUE(Publish(request).ok()) << Publish(request).error_message();
  }
  EXPECT_TRUE(FindMount(*host.Mounts(), Target("a"))->read_only());
  EXPECT_EQ(Read(Opened("a").request.certificate_pem).identity.token, "t2");
  EXPECT_EQ(host.made(), 1);
}

TEST_F(PodMountsTest, AMountTargetsIpNeedsNoPort) {
  for (const auto& [ip, server] :
       {std::pair("10.0.0.5", "10.0.0.5:2049"), std::pair("fd00::5", "[fd00::5]:2049")}) {
    auto request = RequestOf("a");
    request.mutable_volume_context()->erase(kNfsAddressKey);
    (*request.mutable_volume_context())["mounttargetip"] = ip;
    auto status = Publish(request);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Opened("a").request.server, server);
  }
}

TEST_F(PodMountsTest, AMountThatIsTakenAwayIsNotRepaired) {
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  host.Kill();
  int repaired = -1;
  host.at_unmount = [&] { repaired = volumes->RepairAll(); };
  ASSERT_TRUE(Unpublish("a").ok());
  EXPECT_EQ(repaired, 0);
  EXPECT_EQ(host.made(), 1);
  EXPECT_TRUE(host.Mounts()->empty());
  EXPECT_TRUE(tunnel.mounts.empty());
}

TEST_F(PodMountsTest, OneThatHangsDoesNotKeepOthersDead) {
  for (const char* uid : {"a", "b", "c"}) ASSERT_TRUE(Publish(RequestOf(uid)).ok());
  for (const char* uid : {"a", "b"}) host.HangAt(Target(uid));
  host.KillAt(Target("c"));
  EXPECT_EQ(volumes->RepairAll(), 1);
  EXPECT_TRUE(host.Check(Target("c")).ok());
}

TEST_F(PodMountsTest, RulesOfPublishing) {
  ASSERT_TRUE(Publish(RequestOf("a")).ok());
  auto reader = RequestOf("a");
  reader.set_readonly(true);
  EXPECT_EQ(Publish(reader).error_code(), StatusCode::ALREADY_EXISTS);
  auto single = RequestOf("b");
  single.mutable_volume_capability()->mutable_access_mode()->set_mode(
      AccessMode::SINGLE_NODE_SINGLE_WRITER);
  EXPECT_EQ(Publish(single).error_code(), StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(Unpublish("a").ok());
  EXPECT_TRUE(Publish(single).ok());
  EXPECT_TRUE(Publish(single).ok());
}

}  // namespace
}  // namespace tarn::csi
