#include "operator/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "operator/testing/rig.h"

namespace tarn::op {
namespace {

using kube::Object;
using testing::ElementsAre;

TEST(Node, RangesAreAllThatItsNetworkMayShow) {
  Json node = {
      {"metadata",
       {{"name", "n"},
        {"annotations",
         {{"projectcalico.org/IPv4IPIPTunnelAddr", "10.9.0.1"},
          {"projectcalico.org/IPv4Address", "192.168.1.2/24"},
          {"note", "10.0.0.1 is ours"},
          {"odd", 7}}}}},
      {"spec", {{"podCIDR", "10.244.1.0/24"}, {"podCIDRs", {"10.244.1.0/24", "fd01::/64"}}}},
      {"status",
       {{"addresses",
         {{{"type", "InternalIP"}, {"address", "192.168.1.1"}},
          {{"type", "Hostname"}, {"address", "n.example"}}}}}}};
  TrimNode(node);
  EXPECT_EQ(node["ranges"], Json({"10.9.0.1", "192.168.1.1", "192.168.1.2"}));
  EXPECT_EQ(node["metadata"]["name"], "n");
  EXPECT_FALSE(node.contains("status"));
  Json flannel = {
      {"metadata",
       {{"name", "n"}, {"annotations", {{"flannel.alpha.coreos.com/backend-type", "vxlan"}}}}},
      {"spec", {{"podCIDR", "10.244.1.0/24"}, {"podCIDRs", {"10.244.1.0/24", "fd01::/64"}}}}};
  TrimNode(flannel);
  EXPECT_EQ(flannel["ranges"], Json({"10.244.1.0", "fd01::"}));
  Json odd = {{"spec", 7}, {"status", Json::array()}, {"metadata", "x"}};
  TrimNode(odd);
  EXPECT_EQ(odd["ranges"].size(), 0u);
}

TEST(Selector, IsWrittenAsTheApiServerReadsIt) {
  EXPECT_EQ(SelectorText({{"matchLabels", {{"a", "b"}, {"c/d", "e"}}}}), "a=b,c/d=e");
  EXPECT_EQ(SelectorText({{"matchExpressions",
                           {{{"key", "a"}, {"operator", "In"}, {"values", {"x", "y"}}},
                            {{"key", "b"}, {"operator", "NotIn"}, {"values", {"z"}}},
                            {{"key", "c"}, {"operator", "Exists"}},
                            {{"key", "d"}, {"operator", "DoesNotExist"}}}}}),
            "a in (x,y),b notin (z),c,!d");
  EXPECT_EQ(SelectorText(Json::object()), "");
}

class NetworkTest : public testing::Test {
 protected:
  std::vector<std::string> Groups() { return rig_.control.security_groups()[id_]; }
  void Target(const Json& ingress, const std::string& name = "mt",
              const std::string& ns = "default") {
    rig_.Create(kMountTarget, {{"metadata", {{"name", name}, {"namespace", ns}}},
                               {"spec",
                                {{"fileSystemRef", {{"name", "shared"}, {"namespace", "default"}}},
                                 {"availabilityZoneName", name},
                                 {"ingress", ingress}}}});
  }
  void Pod(const std::string& ns, const std::string& name, const std::string& ip,
           const std::string& app, const std::string& phase = "Running") {
    rig_.Create(kPod,
                {{"metadata", {{"name", name}, {"namespace", ns}, {"labels", {{"app", app}}}}},
                 {"status", {{"phase", phase}, {"podIPs", {{{"ip", ip}}}}}}});
  }
  void Start(bool becomes_ready = true) {
    rig_.Start();
    id_ = rig_.MakeShared(becomes_ready);
  }
  bool HasEvent(const std::string& reason) {
    kube::Client client(rig_.cluster);
    auto events = client.List({"", "v1", "events", "Event"}, {}, false);
    if (!events.ok()) return false;
    const Json& all = kube::Array(*events, "items");
    return std::any_of(all.begin(), all.end(),
                       [&](const Json& event) { return kube::Str(event, "reason") == reason; });
  }
  Json Policy() { return rig_.Get(kNetworkPolicy, "shared"); }
  bool IsEventually(const std::vector<std::string>& groups) {
    return Eventually([&] { return Groups() == groups; });
  }
  Rig rig_;
  std::string id_;
};

TEST_F(NetworkTest, NodesAloneUntilAMountTargetNamesOthers) {
  Start();
  EXPECT_THAT(Groups(), ElementsAre("192.168.1.1", "node"));
  EXPECT_EQ(rig_.Condition(kFileSystem, "shared", "NetworkResolved", "reason"), "OnlyNodes");
  EXPECT_TRUE(Policy().is_object());
  rig_.Create(kNode, {{"metadata", {{"name", "n2"}}},
                      {"spec", {{"podCIDR", "10.244.2.0/24"}}},
                      {"status", {{"addresses", {{{"address", "192.168.1.4"}}}}}}});
  EXPECT_TRUE(IsEventually({"192.168.1.1", "192.168.1.4", "node"}));
  rig_.Delete(kNode, "n1");
  EXPECT_TRUE(IsEventually({"192.168.1.4", "node"}));
  Target(Json::array());
  Target({{{"cidr", "0.0.0.0/0"}}}, "all");
  EXPECT_TRUE(IsEventually({"0.0.0.0/0", "node"}));
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "reason") == "NodesAndRules";
  }));
  rig_.Delete(kMountTarget, "all");
  EXPECT_TRUE(IsEventually({"192.168.1.4", "node"}));
  rig_.Delete(kNode, "n2");
  EXPECT_TRUE(IsEventually({"node"}));
}

// A file system of an operator that left it open: its mounts by nodes go on, and of the others
// somebody is told.
TEST_F(NetworkTest, OneThatWasOpenIsClosedWithAnEvent) {
  Start();
  rig_.Kill();
  Json before = rig_.Get(kFileSystem, "shared");
  std::erase_if(before["status"]["conditions"].get_ref<Json::array_t&>(),
                [](const Json& c) { return c["type"] == "NetworkResolved"; });
  rig_.Change(kFileSystem, before);
  ASSERT_TRUE(rig_.Condition(kFileSystem, "shared", "NetworkResolved").empty());
  rig_.Start();
  EXPECT_TRUE(Eventually([&] { return HasEvent("NetworkClosed"); }));
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "reason") == "OnlyNodes";
  }));
}

TEST_F(NetworkTest, SelectorsBecomeTheAddressesOfRunningPods) {
  rig_.Create(kNamespace, {{"metadata", {{"name", "web"}, {"labels", {{"team", "a"}}}}}});
  rig_.Create(kNamespace, {{"metadata", {{"name", "db"}, {"labels", {{"team", "b"}}}}}});
  Pod("default", "p1", "10.0.0.1", "x");
  Pod("default", "p2", "10.0.0.2", "y");
  Pod("default", "p3", "10.0.0.3", "x", "Succeeded");
  Pod("web", "p4", "10.0.0.4", "x");
  Pod("db", "p5", "10.0.0.5", "x");
  Start();
  Target({{{"podSelector", {{"matchLabels", {{"app", "x"}}}}}}});
  EXPECT_TRUE(IsEventually({"10.0.0.1", "192.168.1.1", "node"}));
  Target({{{"namespaceSelector", {{"matchLabels", {{"team", "a"}}}}}}}, "other");
  EXPECT_TRUE(IsEventually({"10.0.0.1", "10.0.0.4", "192.168.1.1", "node"}));
  Target(
      {{{"namespaceSelector", Json::object()}, {"podSelector", {{"matchLabels", {{"app", "x"}}}}}}},
      "all");
  EXPECT_TRUE(IsEventually({"10.0.0.1", "10.0.0.4/31", "192.168.1.1", "node"}));
}

TEST_F(NetworkTest, PodsThatComeAndGoAreNoticedAndNothingElseIsAskedFor) {
  Pod("default", "p1", "10.0.0.1", "x");
  Start();
  Target({{{"podSelector", {{"matchLabels", {{"app", "x"}}}}}}});
  ASSERT_TRUE(IsEventually({"10.0.0.1", "192.168.1.1", "node"}));
  Pod("default", "p2", "10.0.0.9", "x");
  EXPECT_TRUE(IsEventually({"10.0.0.1", "10.0.0.9", "192.168.1.1", "node"}));
  rig_.Delete(kPod, "p1");
  EXPECT_TRUE(IsEventually({"10.0.0.9", "192.168.1.1", "node"}));
  // Once what is under way has ended, four in a row are of nothing else.
  auto of_pods = [](const std::string& request) {
    return request.find("/pods?limit=") != std::string::npos || request.starts_with("WATCH");
  };
  EXPECT_TRUE(Eventually([&] {
    auto requests = rig_.cluster.requests();
    return requests.size() >= 4 && std::all_of(requests.end() - 4, requests.end(), of_pods);
  }));
}

TEST_F(NetworkTest, ManyPodsAreReadPageByPage) {
  for (int i = 0; i < 1100; ++i) {
    std::string number = std::to_string(i);
    Pod("default", "p" + number,
        "10.0." + std::to_string(i / 128) + "." + std::to_string(i % 128 * 2), "x");
  }
  Start();
  Target({{{"podSelector", Json::object()}}});
  EXPECT_TRUE(Eventually([&] { return Groups().size() == 1102; })) << Groups().size();
  auto requests = rig_.cluster.requests();
  auto paged = [](const std::string& r) {
    return r.find("/pods?limit=500") != std::string::npos &&
           r.find("&continue=") != std::string::npos;
  };
  EXPECT_GE(std::count_if(requests.begin(), requests.end(), paged), 2);
}

// Addresses of which no two are a range.
Json Scattered(size_t count, const char* field) {
  Json all = Json::array();
  for (size_t i = 0; i < count; ++i) {
    all.push_back({{field, "10." + std::to_string(i >> 15) + "." + std::to_string(i >> 7 & 255) +
                               "." + std::to_string(i % 128 * 2)}});
  }
  return all;
}

TEST_F(NetworkTest, AddressesSideBySideAreOneRange) {
  Start();
  rig_.Create(kNode, {{"metadata", {{"name", "n2"}}},
                      {"status", {{"addresses", {{{"address", "192.168.1.0"}}}}}}});
  Target({{{"cidr", "192.168.1.2/31"}}, {{"cidr", "172.16.1.1/12"}}});
  EXPECT_TRUE(IsEventually({"172.16.0.0/12", "192.168.1.0/30", "node"}));
  EXPECT_TRUE(
      Eventually([&] { return Policy().dump().find("172.16.0.0/12") != std::string::npos; }));
}

TEST_F(NetworkTest, NodesThatAreTooManyAreTold) {
  Start();
  rig_.Create(kNode, {{"metadata", {{"name", "many"}}},
                      {"status", {{"addresses", Scattered(kMaxRanges, "address")}}}});
  auto told = [&](const char* text) {
    return Eventually([&] {
      return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "message").find(text) !=
             std::string::npos;
    });
  };
  EXPECT_TRUE(told("network.nodeRanges"));
  EXPECT_THAT(Groups(), ElementsAre("192.168.1.1", "node")) << "those that were let in stay";
  rig_.Delete(kNode, "many");
  EXPECT_TRUE(told("only nodes"));
  // A tenant's rule that is too long is the only one that does not count.
  Json pod = {{"metadata", {{"name", "p"}, {"labels", {{"app", "x"}}}}},
              {"status", {{"phase", "Running"}, {"podIPs", Scattered(kMaxRanges, "ip")}}}};
  rig_.Create(kPod, pod);
  Json long_rule = {{"podSelector", {{"matchLabels", {{"app", "x"}}}}}};
  Json short_rule = {{"cidr", "172.16.0.0/12"}};
  Target(Json::array({long_rule, short_rule}));
  EXPECT_TRUE(IsEventually({"172.16.0.0/12", "192.168.1.1", "node"}));
  EXPECT_TRUE(told("longer than 9999 ranges"));
}

TEST_F(NetworkTest, ASelectorWithoutValuesIsNamedAndCostsNobodyThePolicy) {
  Start();
  Json wrong = {{"podSelector", {{"matchExpressions", {{{"key", "a"}, {"operator", "In"}}}}}}};
  Json good = {{"cidr", "172.16.0.0/12"}};
  Target(Json::array({wrong, good}));
  EXPECT_TRUE(IsEventually({"172.16.0.0/12", "192.168.1.1", "node"}));
  ASSERT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "message")
               .find("podSelector.matchExpressions: key 'a': In needs values") != std::string::npos;
  }));
  EXPECT_EQ(Policy()["spec"]["ingress"][0]["from"].size(), 2U);
}

TEST_F(NetworkTest, AMountTargetThatIsNotAllowedAllowsNothing) {
  Start();
  Target(Json::array(), "own");
  EXPECT_TRUE(IsEventually({"192.168.1.1", "node"}));
  Target({{{"cidr", "0.0.0.0/0"}}}, "mt", "elsewhere");
  EXPECT_TRUE(Eventually([&] {
    Json mt = rig_.Get(kMountTarget, "mt", "elsewhere");
    return Object(mt, "status").value("lifeCycleState", "") == "error";
  }));
  EXPECT_THAT(Groups(), ElementsAre("192.168.1.1", "node"));
}

TEST_F(NetworkTest, ThePolicySaysTheSame) {
  Start();
  Json range = {{"cidr", "172.16.0.0/12"}};
  Json pods = {{"podSelector", {{"matchLabels", {{"app", "x"}}}}}};
  Target(Json::array({range, pods}));
  ASSERT_TRUE(Eventually([&] {
    Json policy = Policy();
    return policy.is_object() && policy["spec"]["ingress"][0]["from"].size() == 3;
  }));
  Json spec = Policy()["spec"];
  EXPECT_EQ(spec["podSelector"]["matchLabels"], SelectorLabels(id_));
  EXPECT_EQ(spec["policyTypes"], Json({"Ingress"}));
  Json nfs = spec["ingress"][0];
  EXPECT_EQ(nfs["ports"][0]["port"], "nfs");
  EXPECT_EQ(nfs["from"][0]["ipBlock"]["cidr"], "192.168.1.1/32");
  EXPECT_EQ(nfs["from"][1]["ipBlock"]["cidr"], "172.16.0.0/12");
  EXPECT_EQ(nfs["from"][2]["podSelector"]["matchLabels"]["app"], "x");
  // The server may be in another namespace than the MountTarget.
  EXPECT_EQ(nfs["from"][2]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            "default");
  EXPECT_EQ(spec["ingress"][1]["ports"][0]["port"], "control");
  EXPECT_EQ(spec["ingress"][1]["from"]
                .back()["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            "tarn");
  EXPECT_FALSE(spec["ingress"][2].contains("from"));
  rig_.Delete(kNetworkPolicy, "shared");
  EXPECT_TRUE(Eventually([&] { return Policy().is_object(); }));
}

TEST_F(NetworkTest, CiliumGetsNoPolicyThatWouldKeepNodesOut) {
  rig_.cluster.SetDocument("/apis/cilium.io", {{"kind", "APIGroup"}});
  Start();
  Target(Json::array());
  EXPECT_TRUE(IsEventually({"192.168.1.1", "node"}));
  EXPECT_TRUE(rig_.Gone(kNetworkPolicy, "shared"));
  Settings settings{.ns = {}, .server_image = {}, .driver_name = {}, .token_audience = {}};
  EXPECT_FALSE(WantsNetworkPolicies(settings, true));
  settings.network_policies = "always";
  EXPECT_TRUE(WantsNetworkPolicies(settings, true));
  settings.network_policies = "never";
  EXPECT_FALSE(WantsNetworkPolicies(settings, false));
}

TEST_F(NetworkTest, CiliumsAddressesOfNodesAreNodes) {
  const kube::ResourceType node{"cilium.io", "v2", "ciliumnodes", "CiliumNode", false};
  rig_.cluster.SetDocument("/apis/cilium.io", {{"kind", "APIGroup"}});
  rig_.Create(node, {{"metadata", {{"name", "n1"}}},
                     {"spec",
                      {{"addresses",
                        {{{"ip", "192.168.1.1"}, {"type", "InternalIP"}},
                         {{"ip", "10.0.1.7"}, {"type", "CiliumInternalIP"}}}}}}});
  Start();
  EXPECT_TRUE(IsEventually({"10.0.1.7", "192.168.1.1", "node"}));
  rig_.Delete(node, "n1");
  rig_.clock_offset += Cilium::kNodesSeconds;
  Target(Json::array());
  EXPECT_TRUE(IsEventually({"192.168.1.1", "node"}));
}

TEST_F(NetworkTest, AnApiServerThatDoesNotSayWhetherCiliumIsThereCostsNoPolicy) {
  Start();
  Target(Json::array());
  ASSERT_TRUE(Eventually([&] { return Policy().is_object(); }));
  const std::string uid = UidOf(Policy());
  for (int status : {429, 500, 503}) {
    rig_.cluster.SetDocument("/apis/cilium.io", status);
    rig_.clock_offset += 601;
    std::string range = "172.16.0." + std::to_string(status % 256) + "/32";
    Target({{{"cidr", range}}}, "mt" + std::to_string(status));
    ASSERT_TRUE(Eventually([&] { return Policy().dump().find(range) != std::string::npos; }))
        << "kept up to date";
    EXPECT_EQ(UidOf(Policy()), uid);
  }
  rig_.cluster.SetDocument("/apis/cilium.io", {{"kind", "APIGroup"}});
  rig_.clock_offset += 11;
  Target(Json::array(), "last");
  EXPECT_TRUE(Eventually([&] { return rig_.Gone(kNetworkPolicy, "shared"); }));
}

TEST_F(NetworkTest, NoPolicyIsMadeWhileItIsNotKnownWhetherCiliumIsThere) {
  rig_.cluster.SetDocument("/apis/cilium.io", 503);
  Start(false);
  Target(Json::array());
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "message").find("Cilium") !=
           std::string::npos;
  }));
  EXPECT_TRUE(rig_.Gone(kNetworkPolicy, "shared"));
  EXPECT_TRUE(Groups().empty());
  rig_.cluster.SetDocument("/apis/cilium.io", nullptr);
  rig_.clock_offset += 11;
  Target(Json::array(), "more");
  EXPECT_TRUE(IsEventually({"192.168.1.1", "node"}));
  EXPECT_TRUE(Eventually([&] { return Policy().is_object(); }));
}

// An operator that was restarted knows none of Cilium's addresses: the list in force has them.
TEST_F(NetworkTest, AListStaysWhileCiliumsNodesCannotBeRead) {
  const kube::ResourceType node{"cilium.io", "v2", "ciliumnodes", "CiliumNode", false};
  rig_.cluster.SetDocument("/apis/cilium.io", {{"kind", "APIGroup"}});
  rig_.Create(node,
              {{"metadata", {{"name", "n1"}}}, {"spec", {{"addresses", {{{"ip", "10.0.1.7"}}}}}}});
  Start();
  EXPECT_TRUE(IsEventually({"10.0.1.7", "192.168.1.1", "node"}));
  rig_.Kill();
  rig_.cluster.SetDocument("/apis/cilium.io", 503);
  rig_.Start();
  Target({{{"cidr", "172.16.0.1/32"}}});
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "message").find("Cilium") !=
           std::string::npos;
  }));
  EXPECT_EQ(Groups(), (std::vector<std::string>{"10.0.1.7", "192.168.1.1", "node"}));
  rig_.cluster.SetDocument("/apis/cilium.io", {{"kind", "APIGroup"}});
  rig_.clock_offset += 11;
  Target(Json::array(), "more");
  EXPECT_TRUE(IsEventually({"10.0.1.7", "172.16.0.1", "192.168.1.1", "node"}));
}

TEST_F(NetworkTest, ServicesKeepClientsAddresses) {
  Start();
  for (const char* type : {"NodePort", "LoadBalancer", "ClusterIP"}) {
    rig_.Create(kMountTarget, {{"metadata", {{"name", type}}},
                               {"spec",
                                {{"fileSystemRef", {{"name", "shared"}}},
                                 {"availabilityZoneName", type},
                                 {"service", {{"type", type}}}}}});
  }
  auto policy = [&](const std::string& type) {
    Json service = rig_.Get(kService, type + "-nfs");
    return service.is_null() ? "none" : Object(service, "spec").value("externalTrafficPolicy", "");
  };
  EXPECT_TRUE(Eventually([&] {
    return policy("NodePort") == "Local" && policy("LoadBalancer") == "Local" &&
           policy("ClusterIP").empty();
  }));
}

TEST_F(NetworkTest, ABadRuleOfATenantCountsForNothingAndStopsNothing) {
  Start();
  rig_.Change(kFileSystem, {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                            {"spec", {{"policy", "one"}}}});
  Json bad = {{"cidr", "everybody"}}, good = {{"cidr", "172.16.0.0/12"}};
  Target(Json::array({bad, good}));
  EXPECT_TRUE(IsEventually({"172.16.0.0/12", "192.168.1.1", "node"}));
  ASSERT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "NetworkResolved", "reason") == "RuleRefused";
  }));
  EXPECT_NE(rig_.Condition(kFileSystem, "shared", "NetworkResolved", "message").find("everybody"),
            std::string::npos);
  EXPECT_EQ(rig_.Condition(kFileSystem, "shared", "Ready"), "True");
  EXPECT_TRUE(Eventually([&] { return rig_.control.policies()[id_] == "one"; }));
  EXPECT_TRUE(Eventually([&] { return rig_.RegistryEntry(id_)["mountTargets"].size() == 1; }));
  EXPECT_EQ(Policy()["spec"]["ingress"][0]["from"].size(), 2U);
  rig_.Delete(kMountTarget, "mt");
  EXPECT_TRUE(Eventually(
      [&] { return rig_.Condition(kFileSystem, "shared", "NetworkResolved") == "True"; }));
}

TEST_F(NetworkTest, AWrongPolicyDoesNotKeepItOpen) {
  Target(Json::array());
  rig_.Start();
  Json spec = SharedSpec();
  spec["policy"] = "wrong";
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", spec}});
  rig_.SetServing("shared");
  EXPECT_TRUE(Eventually([&] {
    auto all = rig_.control.security_groups();
    return all.size() == 1 &&
           all.begin()->second == std::vector<std::string>{"192.168.1.1", "node"};
  }));
}

// Such as one of an image that is older than the operator.
TEST_F(NetworkTest, AServerThatTakesNoListIsNotFoundByAnybody) {
  rig_.control.RefuseGroups("'node' is no address");
  rig_.Start();
  rig_.Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  rig_.SetServing("shared");
  EXPECT_TRUE(Eventually([&] {
    return rig_.Condition(kFileSystem, "shared", "Ready", "message").find("'node' is no address") !=
           std::string::npos;
  }));
  // Nor when it is tried again.
  for (int i = 0; i < 3; ++i) {
    const int refusals = rig_.control.refusals();
    rig_.Touch();
    EXPECT_TRUE(Eventually([&] { return rig_.control.refusals() > refusals; }));
  }
  EXPECT_TRUE(rig_.RegistryEntry(FileSystemIdOf(rig_.Get(kFileSystem, "shared"))).is_null());
  rig_.control.RefuseGroups("");
  rig_.Touch();
  EXPECT_TRUE(Eventually([&] { return rig_.Condition(kFileSystem, "shared", "Ready") == "True"; }));
}

}  // namespace
}  // namespace tarn::op
