// A mount's certificate is renewed: connections that run are moved below their clients.
#include <gmock/gmock.h>

#include <thread>

#include "tests/tunnel/world.h"

namespace tarn::tunnel {
namespace {

using nfs_client::AsOpaque;
using nfs_client::AsText;

constexpr uint32_t kDown = nfs4::SEQ4_STATUS_CB_PATH_DOWN | nfs4::SEQ4_STATUS_CB_PATH_DOWN_SESSION;

class Move : public testing::Test {
 protected:
  Move() { Start(place_.options()); }
  void Start(const Options& options) {
    tunnel_.reset();
    auto started = Daemon::Start(options);
    EXPECT_TRUE(started.ok()) << started.error().message();
    tunnel_ = std::move(started).value();
  }
  // With a new certificate each time.
  v1::OpenMountResponse Open() {
    auto opened = TunnelClient(place_.socket()).Open(RequestFor(server_, "pod-1"));
    EXPECT_TRUE(opened.ok()) << opened.error().message();
    return opened.ok() ? *opened : v1::OpenMountResponse();
  }
  uint64_t Handshakes() const { return server_.Metric("tarn_tls_handshakes_total"); }
  uint64_t Connections() const { return server_.Metric("tarn_tls_connections"); }

  Place place_;
  FileServer server_;
  std::unique_ptr<Daemon> tunnel_;
};

TEST_F(Move, AnIdleConnectionIsMovedAtOnce) {
  auto mounted = nfs_client::Client::Mount(Through(Open()));
  ASSERT_TRUE(mounted.ok());
  EXPECT_EQ(Handshakes(), 1u);
  Open();
  EXPECT_TRUE(Eventually([&] { return Handshakes() == 2 && Connections() == 1; }));
  EXPECT_EQ(mounted.value->Renew(), nfs4::NFS4_OK);
}

TEST_F(Move, ABusyClientNoticesNothing) {
  Options options = place_.options();
  options.times.quiet = std::chrono::seconds{10};  // for its largest calls on a busy machine
  Start(options);
  auto mounted = nfs_client::Client::Mount(Through(Open()));
  ASSERT_TRUE(mounted.ok());
  nfs_client::Client& nfs = *mounted.value;
  auto file = nfs.Create(nfs.Root().value, "file");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    std::string data(256 * 1024, 'x');
    for (uint64_t i = 0; !stop; ++i) {
      std::fill(data.begin(), data.end(), static_cast<char>('a' + i % 26));
      ASSERT_TRUE(nfs.Write(file->fh, file->state, 0, AsOpaque(data)).ok());
      auto read = nfs.Read(file->fh, file->state, 0, static_cast<uint32_t>(data.size()));
      ASSERT_TRUE(read.ok());
      ASSERT_EQ(AsText(read->data), data);
    }
  });
  for (uint64_t i = 2; i < 8; ++i) {
    Open();
    EXPECT_TRUE(Eventually([&] { return Handshakes() == i && Connections() == 1; }));
  }
  stop = true;
  writer.join();
}

// A client that was served for long and says nothing is kept when the server of its next
// connection goes away.
TEST_F(Move, AnIdleConnectionOutlivesItsNextServer) {
  auto request = RequestFor(server_, "pod-1");
  FileServer other;
  request.add_servers(other.address());
  TunnelClient tunnel(place_.socket());
  Fd client = ConnectTo(tunnel.Open(request).value());
  ASSERT_TRUE(SendAll(client.get(), NullCall(1)));
  ASSERT_EQ(ReceiveExactly(client.get(), kNullReplyBytes).size(), kNullReplyBytes);
  usleep(1'600'000);  // more than `unanswered`
  ClientCertificate renewed = NewClientCertificate();
  request.set_certificate_pem(renewed.certificate);
  request.set_private_key_pem(renewed.key);
  ASSERT_TRUE(tunnel.Open(request).ok());
  ASSERT_TRUE(Eventually([&] { return Handshakes() == 2 && Connections() == 1; }));
  server_.Stop();
  ASSERT_TRUE(Eventually([&] { return other.Metric("tarn_tls_connections") == 1; }));
  ASSERT_TRUE(SendAll(client.get(), NullCall(2)));
  EXPECT_EQ(ReceiveExactly(client.get(), kNullReplyBytes).size(), kNullReplyBytes);
}

// Between calls only: not while one is half way, nor while one is not answered.
TEST_F(Move, OneThatIsNotQuietGoesOnWithTheOldOne) {
  auto at = Open();
  Fd client = ConnectTo(at);
  std::string call = NullCall(1);
  ASSERT_TRUE(SendAll(client.get(), call.substr(0, 20)));
  ASSERT_TRUE(Eventually([&] { return Connections() == 1; }));
  Open();
  ASSERT_TRUE(Eventually([&] { return Handshakes() == 2; }));
  // The old one is still there when the bound is over, and is the one that answers.
  ASSERT_TRUE(Eventually([&] { return Connections() == 1; }));
  ASSERT_TRUE(SendAll(client.get(), call.substr(20) + NullCall(2)));
  EXPECT_EQ(ReceiveExactly(client.get(), 2 * kNullReplyBytes).size(), 2 * kNullReplyBytes);
  // At the next chance it is moved.
  EXPECT_TRUE(Eventually([&] { return Handshakes() == 3 && Connections() == 1; }));
  ASSERT_TRUE(SendAll(client.get(), NullCall(3)));
  EXPECT_EQ(ReceiveExactly(client.get(), kNullReplyBytes).size(), kNullReplyBytes);
}

// The server sees another connection, and asks for a back channel by SEQUENCE's status flags.
TEST_F(Move, TheBackChannelIsBoundAgain) {
  auto options = Through(Open());
  options.callbacks = true;
  auto mounted = nfs_client::Client::Mount(options);
  ASSERT_TRUE(mounted.ok());
  nfs_client::Client& nfs = *mounted.value;
  auto flags_become = [&](uint32_t flags) {
    return Eventually([&] {
      EXPECT_EQ(nfs.Renew(), nfs4::NFS4_OK);
      return (nfs.status_flags() & kDown) == flags;
    });
  };
  EXPECT_TRUE(flags_become(0));
  Open();
  EXPECT_TRUE(flags_become(kDown));
  EXPECT_EQ(nfs.BindConnection(nfs4::CDFC4_BACK_OR_BOTH), nfs4::NFS4_OK);
  EXPECT_TRUE(flags_become(0));
}

TEST_F(Move, ToAServerThatIsAwayWaitsUntilItIsThere) {
  auto at = Open();
  Fd client = ConnectTo(at);
  ASSERT_TRUE(SendAll(client.get(), NullCall(1)));
  ASSERT_EQ(ReceiveExactly(client.get(), kNullReplyBytes).size(), kNullReplyBytes);
  auto request = RequestFor(server_, "pod-1");
  request.clear_servers();
  request.add_servers("127.0.0.1:1");
  TunnelClient tunnel(place_.socket());
  ASSERT_TRUE(tunnel.Open(request).ok());
  EXPECT_TRUE(Eventually([&] { return !tunnel.Show("pod-1").last_error().empty(); }));
  // The old connection carries on.
  ASSERT_TRUE(SendAll(client.get(), NullCall(2)));
  EXPECT_EQ(ReceiveExactly(client.get(), kNullReplyBytes).size(), kNullReplyBytes);
  request.add_servers(server_.address());
  ASSERT_TRUE(tunnel.Open(request).ok());
  EXPECT_TRUE(Eventually([&] { return Handshakes() == 2 && Connections() == 1; }));
}

}  // namespace
}  // namespace tarn::tunnel
