// For tests: the node service with a tunnel. The machine's mounts and the tunnel's are tables.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "common/tls/identity_certificate.h"
#include "csi/call.h"
#include "csi/node/fake_host.h"
#include "csi/node/fake_tunnel.h"
#include "csi/node/node_service.h"
#include "csi/node/pod_mounts.h"

namespace tarn::csi {

namespace pb = ::csi::v1;

inline constexpr char kVolume[] = "efs:fs-0123456789abcdef0::fsap-0123456789abcdef1";

inline tls::ParsedCertificate Read(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  auto parsed = tls::ReadIdentityCertificate(*certificate);
  X509_free(certificate);
  BIO_free(bio);
  EXPECT_TRUE(parsed.ok());
  return std::move(parsed).value();
}

struct PodMountsTest : testing::Test {
  PodMountsTest() {
    std::string name = "/tmp/tarn-node-XXXXXX";
    dir = mkdtemp(name.data());
    std::ofstream(dir + "/ca.crt") << "the authority";
    Restart();
  }
  ~PodMountsTest() override { std::filesystem::remove_all(dir); }

  // As after a restart of the plugin: only the machine and the tunnel are what they were.
  void Restart(bool with_tunnel = true, bool encrypted = true) {
    service.reset();
    planner = std::make_unique<Planner>(nullptr, "", encrypted);
    pods = std::make_unique<PodMounts>(
        host, host, tunnel, *planner,
        PodMountsOptions{dir + "/state/pods", dir + "/pods", dir + "/ca.crt", dir + "/log", {}},
        clock);
    volumes = std::make_unique<Volumes>(host, host, *planner, with_tunnel ? pods.get() : nullptr,
                                        VolumesOptions{dir + "/state", dir + "/pods", {}});
    service = std::make_unique<NodeService>(*volumes, NodeOptions{"node-a", "zone-a", 7});
  }

  std::string Target(const std::string& uid) const {
    return dir + "/pods/" + uid + "/volumes/kubernetes.io~csi/pv/mount";
  }
  std::string Tokens(const std::string& token, const std::string& audience = "tarn.dev") const {
    return R"({")" + audience + R"(":{"token":")" + token +
           R"(","expirationTimestamp":"2001-09-09T02:46:40Z"}})";  // an hour after the clock
  }
  pb::NodePublishVolumeRequest RequestOf(const std::string& uid, const std::string& token = "t1") {
    pb::NodePublishVolumeRequest request;
    request.set_volume_id(kVolume);
    request.set_staging_target_path(staging);
    request.set_target_path(Target(uid));
    request.mutable_volume_capability()->mutable_mount();
    request.mutable_volume_capability()->mutable_access_mode()->set_mode(
        pb::VolumeCapability::AccessMode::MULTI_NODE_MULTI_WRITER);
    auto& context = *request.mutable_volume_context();
    context[kNfsAddressKey] = "10.0.0.1:2049";
    context["csi.storage.k8s.io/pod.name"] = "web-" + uid;
    context["csi.storage.k8s.io/pod.namespace"] = "shop";
    context["csi.storage.k8s.io/pod.uid"] = uid;
    context["csi.storage.k8s.io/serviceAccount.name"] = "front";
    if (!token.empty()) context[kTokensKey] = Tokens(token);
    return request;
  }
  grpc::Status Stage(const pb::NodePublishVolumeRequest& of) {
    pb::NodeStageVolumeRequest request;
    request.set_volume_id(of.volume_id());
    request.set_staging_target_path(staging);
    *request.mutable_volume_capability() = of.volume_capability();
    (*request.mutable_volume_context())[kNfsAddressKey] = "10.0.0.1:2049";
    for (const auto& [key, value] : of.volume_context()) {
      if (!key.starts_with("csi.")) (*request.mutable_volume_context())[key] = value;
    }
    pb::NodeStageVolumeResponse response;
    return service->NodeStageVolume(nullptr, &request, &response);
  }
  grpc::Status Publish(const pb::NodePublishVolumeRequest& request) {
    pb::NodePublishVolumeResponse response;
    return service->NodePublishVolume(nullptr, &request, &response);
  }
  grpc::Status Unpublish(const std::string& uid) {
    pb::NodeUnpublishVolumeRequest request;
    request.set_volume_id(kVolume);
    request.set_target_path(Target(uid));
    pb::NodeUnpublishVolumeResponse response;
    return service->NodeUnpublishVolume(nullptr, &request, &response);
  }
  const FakeTunnel::Opened& Opened(const std::string& uid) {
    return tunnel.mounts.at(pods->MountId(Target(uid)));
  }
  std::string Source(const std::string& uid) {
    auto mount = FindMount(*host.Mounts(), Target(uid));
    return mount ? mount->source : "";
  }

  FakeHost host;
  FakeTunnel tunnel;
  ManualClock clock;
  std::string dir;
  std::unique_ptr<Planner> planner;
  std::unique_ptr<PodMounts> pods;
  std::unique_ptr<Volumes> volumes;
  std::unique_ptr<NodeService> service;
  const std::string staging = "/var/kubelet/globalmount";
};

}  // namespace tarn::csi
