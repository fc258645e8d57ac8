// What needs no Vault; tests/keys has one.
#include "server/keys/vault_provider.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "common/http_endpoint.h"
#include "server/keys/testing/key_files.h"

namespace tarn::keys {
namespace {

TEST(VaultPlace, IsParsed) {
  auto place = ParseVaultPlace(
      "https://vault:8200/team/transit/keys/tarn-1?token-file=/t&ca-file=/ca.crt&namespace=a/b");
  ASSERT_TRUE(place.ok()) << place.error().ToString();
  EXPECT_EQ(place->base, "https://vault:8200");
  EXPECT_EQ(place->mount, "team/transit");
  EXPECT_EQ(place->key, "tarn-1");
  EXPECT_EQ(place->token_file, "/t");
  EXPECT_EQ(place->ca_file, "/ca.crt");
  EXPECT_EQ(place->vault_namespace, "a/b");
  EXPECT_TRUE(ParseVaultPlace("http://127.0.0.1:8200/transit/keys/k?token-file=/t").ok());
  EXPECT_TRUE(ParseVaultPlace("http://[::1]:8200/transit/keys/k?token-file=/t").ok());
}

TEST(VaultPlace, IsRefusedWithAReason) {
  for (const char* uri :
       {"", "https://", "https://vault:8200", "https://vault:8200/transit/k?token-file=/t",
        "https://vault:8200/transit/keys/k", "https://vault:8200/transit/keys/k?token-file=t",
        "https://vault:8200/transit/keys/k?token=secret",
        "https://user:pass@vault:8200/transit/keys/k?token-file=/t",
        "http://vault:8200/transit/keys/k?token-file=/t",
        "ftp://vault:8200/transit/keys/k?token-file=/t",
        "https://vault:8200/transit/keys/../k?token-file=/t",
        "https://vault:8200/transit/keys/a%2fb?token-file=/t",
        "https://vault:8200/transit/keys/k?token-file=/t&namespace=a\nb"}) {
    EXPECT_EQ(ParseVaultPlace(uri).code(), Code::kInvalid) << uri;
  }
}

class VaultProviderTest : public testing::Test {
 protected:
  std::unique_ptr<KeyProvider> Open(int port) {
    files_.Write("token", "s.token\n");
    auto provider = OpenVaultProvider("http://127.0.0.1:" + std::to_string(port) +
                                      "/transit/keys/k?token-file=" + files_.File("token"));
    return std::move(provider).value();
  }
  KeyFiles files_;
};

// A listener that never answers.
class Mute {
 public:
  Mute() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    listen(fd_, 8);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Mute() { close(fd_); }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

TEST_F(VaultProviderTest, GivesUpAtTheDeadline) {
  Mute mute;
  auto provider = Open(mute.port());
  auto begin = std::chrono::steady_clock::now();
  auto version = provider->Check({.timeout = std::chrono::milliseconds(300), .stop = {}});
  EXPECT_EQ(version.code(), Code::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(VaultProviderTest, CanBeStopped) {
  Mute mute;
  auto provider = Open(mute.port());
  std::stop_source stop;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop.request_stop();
  });
  auto version = provider->Check({.timeout = std::chrono::seconds(60), .stop = stop.get_token()});
  stopper.join();
  EXPECT_EQ(version.code(), Code::kAborted);
}

TEST_F(VaultProviderTest, NobodyThereIsTrouble) {
  int port = 0;
  {
    Mute mute;
    port = mute.port();
  }
  auto provider = Open(port);
  auto version = provider->Check({});
  EXPECT_EQ(version.code(), Code::kUnavailable);
  EXPECT_EQ(version.error().message().find("s.token"), std::string::npos);
}

// A proxy's 404 or 403 says nothing of a key.
TEST_F(VaultProviderTest, AnswersThatAreNotOfVaultAreTrouble) {
  int status = 404;
  std::string body = "<html>not found</html>";
  auto endpoint = HttpEndpoint::Start(
      "127.0.0.1:0", {{"/v1/transit/keys/k",
                       [&] { return HttpEndpoint::Response{.status = status, .body = body}; }}});
  ASSERT_TRUE(endpoint.ok());
  auto provider = Open((*endpoint)->port());
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
  status = 403;
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
  status = 200;
  body = R"({"data":{"latest_version":"x"}})";
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
  body = R"({"data":{"latest_version":7,"min_decryption_version":1}})";
  EXPECT_EQ(provider->Check({}).value(), "v7");
  status = 403;
  body = R"({"errors":["permission denied"]})";
  EXPECT_EQ(provider->Check({}).code(), Code::kDenied);
  status = 503;
  body = R"({"errors":["Vault is sealed"]})";
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
}

TEST_F(VaultProviderTest, NoTokenIsTrouble) {
  Mute mute;
  auto provider = Open(mute.port());
  files_.Write("token", "two\r\nX-Header: injected");
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
  files_.Remove("token");
  EXPECT_EQ(provider->Check({}).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace tarn::keys
