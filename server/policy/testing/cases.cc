#include "server/policy/testing/cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace tarn::policy {

std::string Document(std::string_view text) {
  std::string json(text);
  std::replace(json.begin(), json.end(), '\'', '"');
  std::replace(json.begin(), json.end(), '`', '\'');
  if (json.find("\"Statement\"") != json.npos) return json;
  return R"({"Version":"2012-10-17","Statement":[)" + json + "]}";
}

void ParseRequest(std::string_view words, OwnedRequest& owned) {
  Request& request = owned.request;
  request.file_system_arn = kFileSystem;
  std::istringstream in{std::string(words)};
  for (std::string word; in >> word;) {
    std::string value = word.substr(std::min(word.size(), word.find('=') + 1));
    if (word.starts_with("sa=")) {
      request.service_account = owned.service_account = value;
    } else if (word.starts_with("iss=")) {
      request.issuer = owned.issuer = value;
    } else if (word.starts_with("aws=")) {
      request.aws_principal = owned.aws_principal = value;
    } else if (word.starts_with("pod=")) {
      request.pod = owned.pod = value;
    } else if (word.starts_with("groups=")) {
      std::istringstream names(value);
      for (std::string name; std::getline(names, name, ',');) owned.groups.push_back(name);
      request.groups = owned.groups;
    } else if (word.starts_with("ip=")) {
      request.source_ip = IpAddress::Parse(value);
      ASSERT_TRUE(request.source_ip) << word;
    } else if (word == "tls") {
      request.secure_transport = true;
    } else if (word == "direct") {
      request.via_mount_target = false;
    } else if (word == "ap") {
      request.access_point_arn = kAccessPoint;
    } else if (word.starts_with("ap=")) {
      owned.access_point = "arn:aws:elasticfilesystem:local:000000000000:access-point/" + value;
      request.access_point_arn = owned.access_point;
    } else if (word.starts_with("now=")) {
      request.now_seconds = std::stoll(value);
    } else {
      FAIL() << word;
    }
  }
}

std::string Text(const Rights& rights) {
  std::string text = "mwr";
  for (size_t i = 0; i < text.size(); ++i) {
    if (!rights.decisions[i].allowed()) text[i] = '-';
  }
  return text;
}

void Check(std::span<const Case> cases) {
  std::set<std::string_view> names;
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.name) + ": " + c.why + "\n  policy " + c.policy + "\n  request " +
                 c.request);
    EXPECT_TRUE(names.insert(c.name).second) << "a name twice";
    auto policy = Policy::Compile(Document(c.policy), kFileSystem);
    if (!policy.ok()) {
      ADD_FAILURE() << policy.error().message();
      continue;
    }
    OwnedRequest owned;
    ParseRequest(c.request, owned);
    Rights rights = (*policy)->Decide(owned.request);
    EXPECT_EQ(Text(rights), c.rights);
    for (Action action : kActions) {
      EXPECT_EQ((*policy)->Decide(owned.request, action), rights.of(action)) << Name(action);
    }
  }
}

}  // namespace tarn::policy
