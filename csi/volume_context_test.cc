#include "csi/volume_context.h"

#include <gtest/gtest.h>

namespace tarn::csi {
namespace {

using Attributes = std::map<std::string, std::string>;

TEST(VolumeContext, TakesEfsAttributesInAnyCase) {
  auto context = ParseVolumeContext({{"MountTargetIp", "10.0.0.1"},
                                     {"mounttargetipmap", R"({"a":"10.0.0.2","b":"10.0.0.3:99"})"},
                                     {"encryptInTransit", "false"},
                                     {"crossaccount", "true"},
                                     {"storage.kubernetes.io/csiProvisionerIdentity", "x"},
                                     {"csi.storage.k8s.io/pod.name", "p"}});
  ASSERT_TRUE(context.ok()) << context.error().message();
  EXPECT_EQ(context->mount_target_ip, "10.0.0.1");
  EXPECT_EQ(context->by_zone.at("b"), "10.0.0.3:99");
  EXPECT_EQ(context->encrypt_in_transit, false);
  EXPECT_EQ(ParseVolumeContext({{"ENCRYPTinTransit", "True"}})->encrypt_in_transit, true);
  EXPECT_FALSE(ParseVolumeContext({})->encrypt_in_transit.has_value());
}

TEST(VolumeContext, RefusesByName) {
  const std::pair<Attributes, const char*> cases[] = {
      {{{"path", "/x"}}, "Volume context property path not supported."},
      {{{"mounttargetip", "not an ip"}}, "is not a valid IP address"},
      {{{"mounttargetip", "host.name"}}, "is not a valid IP address"},
      {{{"mounttargetip", "10.0.0.1,port=1"}}, "is not a valid IP address"},
      {{{"mounttargetip", "10.0.0.1\naddr=10.0.0.2"}}, "is not a valid IP address"},
      {{{"mounttargetip", std::string("10.0.0.1\0x", 10)}}, "is not a valid IP address"},
      {{{"mounttargetip", "10.0.0.1/../x"}}, "is not a valid IP address"},
      {{{"mounttargetipmap", R"({"a":"10.0.0.1,suid"})"}}, "is not a valid IP address"},
      {{{"nfsAddress", std::string("host\0:1", 7)}}, "nfsAddress"},
      {{{"nfsAddress", "host\n:2049"}}, "nfsAddress"},
      {{{"mounttargetipmap", "[]"}}, "mounttargetipmap"},
      {{{"mounttargetipmap", R"({"a":1})"}}, "mounttargetipmap"},
      {{{"mounttargetipmap", R"({"a":"x y"})"}}, "is not a valid IP address"},
      {{{"encryptInTransit", "yes"}}, "encryptInTransit"},
      {{{"crossaccount", "maybe"}}, "crossaccount"},
      {{{"nfsAddress", "a:b:c:d:e:99999"}}, "nfsAddress"},
      {{{"nfsAddress", "host,port=1"}}, "nfsAddress"},
  };
  for (const auto& [attributes, message] : cases) {
    auto context = ParseVolumeContext(attributes);
    if (context.ok()) {
      ADD_FAILURE() << attributes.begin()->first << "=" << attributes.begin()->second;
      continue;
    }
    EXPECT_EQ(context.code(), Code::kInvalid);
    EXPECT_NE(context.error().message().find(message), std::string::npos)
        << context.error().message();
  }
}

TEST(VolumeContext, ChoosesTheServer) {
  RegistryEntry entry;
  entry.nfs = "10.1.0.1:2049";
  entry.mount_targets = {{"fsmt-1", "a", "10.1.0.2:2049"}};
  auto context = ParseVolumeContext(MakeVolumeContext(entry));
  ASSERT_TRUE(context.ok());
  EXPECT_EQ(*ChooseServer(*context, nullptr, ""), "10.1.0.1:2049");
  EXPECT_EQ(*ChooseServer(*context, nullptr, "a"), "10.1.0.2:2049");
  EXPECT_EQ(*ChooseServer(*context, nullptr, "b"), "10.1.0.1:2049");
  RegistryEntry moved = entry;
  moved.nfs = "10.2.0.1:2049";
  moved.mount_targets.clear();
  EXPECT_EQ(*ChooseServer(*context, &moved, "a"), "10.2.0.1:2049");
  VolumeContext by_hand;
  by_hand.mount_target_ip = "10.9.9.9";
  EXPECT_EQ(*ChooseServer(by_hand, &moved, "a"), "10.9.9.9");
  EXPECT_EQ(ChooseServer(VolumeContext(), nullptr, "a").code(), Code::kNotFound);
}

}  // namespace
}  // namespace tarn::csi
