// TLS over a socket pair, both ends driven by hand: nothing waits, nothing is lost.
#include "common/tls/tls_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/grpc/testing/certificates.h"
#include "common/tls/tls_context.h"

namespace tarn::tls {
namespace {

using Bytes = std::vector<std::byte>;
using Step = TlsStream::Step;
using Sent = TlsStream::Sent;

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 13 + i / 251);
  return bytes;
}

class TlsPair : public ::testing::Test {
 protected:
  TlsPair() {
    std::string dir = std::filesystem::temp_directory_path() / "tarn-tls-stream-XXXXXX";
    dir_ = mkdtemp(dir.data());
    rpcs::TestAuthority authority;
    authority.Issue(dir_);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_), 0);
    context_ = NewClientContext({.ca_pem = ReadTlsDir(dir_).value().ca}).value();
    client_ = std::make_unique<TlsStream>(NewClientConnection(*context_, "localhost"), fds_[0]);
    server_tls_ = ServerTls::Open(dir_).value();
    server_ = std::make_unique<TlsStream>(server_tls_->NewConnection(), fds_[1]);
  }
  ~TlsPair() override {
    client_ = nullptr;
    server_ = nullptr;
    close(fds_[0]);
    close(fds_[1]);
    std::filesystem::remove_all(dir_);
  }
  bool Connect() {
    std::string why;
    for (int i = 0; i < 10; ++i) {
      Step client = client_done_ ? Step::kDone : client_->Handshake(why);
      client_done_ = client == Step::kDone;
      Step server = server_->Handshake(why);
      if (client_done_ && server == Step::kDone) return true;
    }
    ADD_FAILURE() << why;
    return false;
  }
  // Sends all, while the other end takes what has come.
  Bytes Carry(TlsStream& from, TlsStream& to, const Bytes& bytes, size_t piece_bytes,
              size_t ask_bytes) {
    std::vector<iovec> pieces;
    for (size_t at = 0; at < bytes.size(); at += piece_bytes) {
      pieces.push_back(
          {const_cast<std::byte*>(bytes.data() + at), std::min(piece_bytes, bytes.size() - at)});
    }
    Bytes back;
    Bytes into(ask_bytes);
    size_t at = 0;
    Sent sent = Sent::kBlocked;
    while (sent == Sent::kBlocked || back.size() < bytes.size()) {
      if (sent == Sent::kBlocked) sent = from.Send(pieces, at);
      if (sent == Sent::kBroken) break;
      ssize_t got = to.Receive(into.data(), into.size());
      if (got > 0) back.insert(back.end(), into.begin(), into.begin() + got);
      if (got == 0 || got == TlsStream::kBroken) break;
      bool stuck = got == TlsStream::kNothing && sent == Sent::kAll && !Readable(to);
      if (stuck && back.size() < bytes.size()) break;
    }
    EXPECT_EQ(from.unsent(), 0U);
    return back;
  }
  bool Readable(const TlsStream& stream) const {
    pollfd wait{.fd = &stream == client_.get() ? fds_[0] : fds_[1], .events = POLLIN, .revents = 0};
    return poll(&wait, 1, 0) == 1;
  }

  std::string dir_;
  int fds_[2] = {-1, -1};
  Context context_;
  std::shared_ptr<ServerTls> server_tls_;
  std::unique_ptr<TlsStream> client_;
  std::unique_ptr<TlsStream> server_;
  bool client_done_ = false;
};

TEST_F(TlsPair, CarriesPiecesOfEverySize) {
  ASSERT_TRUE(Connect());
  for (size_t piece : {1U, 100U, 16'384U, 20'000U, 200'000U, 2'000'000U}) {
    size_t size = piece == 1 ? 5000 : 1'000'003;
    Bytes bytes = Pattern(size);
    for (size_t ask : {100U, 8192U, 1U << 20}) {
      EXPECT_EQ(Carry(*client_, *server_, bytes, piece, ask), bytes) << piece << " " << ask;
      EXPECT_EQ(Carry(*server_, *client_, bytes, piece, ask), bytes) << piece << " " << ask;
    }
  }
}

TEST_F(TlsPair, TellsWhatTheSocketWillNotTell) {
  ASSERT_TRUE(Connect());
  Bytes bytes = Pattern(30'000);
  std::vector<iovec> pieces{{bytes.data(), bytes.size()}};
  size_t at = 0;
  ASSERT_EQ(client_->Send(pieces, at), Sent::kAll);
  Bytes into(1000);
  size_t received = 0;
  while (received < bytes.size()) {
    ASSERT_EQ(server_->Receive(into.data(), into.size()), 1000);
    received += 1000;
    // Either way says that there is more; when all has been given, neither does.
    EXPECT_EQ(server_->HasBuffered() || Readable(*server_), received < bytes.size());
  }
  EXPECT_EQ(server_->Receive(into.data(), into.size()), TlsStream::kNothing);
  EXPECT_FALSE(server_->InRecord());
}

TEST_F(TlsPair, AnEndBehindBytesIsNotForgotten) {
  ASSERT_TRUE(Connect());
  Bytes bytes = Pattern(10);
  std::vector<iovec> pieces{{bytes.data(), bytes.size()}};
  size_t at = 0;
  ASSERT_EQ(client_->Send(pieces, at), Sent::kAll);
  client_->CloseNotify();
  Bytes into(100);
  EXPECT_EQ(server_->Receive(into.data(), into.size()), 10);
  EXPECT_TRUE(server_->HasBuffered());
  EXPECT_EQ(server_->Receive(into.data(), into.size()), 0);
  // The other direction is still open.
  EXPECT_EQ(Carry(*server_, *client_, Pattern(50'000), 50'000, 8192), Pattern(50'000));
}

TEST_F(TlsPair, APartOfARecordIsOwed) {
  ASSERT_TRUE(Connect());
  ASSERT_EQ(send(fds_[0], "\x17\x03\x03\x10\x00half", 9, 0), 9);
  Bytes into(100);
  EXPECT_EQ(server_->Receive(into.data(), into.size()), TlsStream::kNothing);
  EXPECT_TRUE(server_->InRecord());
  EXPECT_FALSE(server_->HasBuffered());
}

TEST_F(TlsPair, WhatDecryptsToNothingHoldsNobody) {
  int big = 4 << 20;
  setsockopt(fds_[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
  ASSERT_TRUE(Connect());
  int waiting = 0;
  for (int i = 0; i < 15'000; ++i) {
    if (SSL_key_update(&client_->ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) break;
    std::string why;
    if (client_->Handshake(why) != Step::kDone || client_->unsent() > 0) break;
    ioctl(fds_[1], FIONREAD, &waiting);
    if (waiting > 600'000) break;
  }
  Bytes into(100);
  ioctl(fds_[1], FIONREAD, &waiting);
  ASSERT_GT(waiting, 50'000);
  EXPECT_LT(server_->Receive(into.data(), into.size()), 0);
  int left = 0;
  ioctl(fds_[1], FIONREAD, &left);
  EXPECT_LE(waiting - left, 40'000);
}

TEST_F(TlsPair, TakesWhatBelongsTogetherAndNamesWhatDoesNot) {
  EXPECT_EQ(ServerTls::Open(dir_ + "/none").code(), Code::kInvalid);
  EXPECT_EQ(NewClientContext({.ca_pem = "nothing"}).code(), Code::kInvalid);
  auto pems = ReadTlsDir(dir_).value();
  EXPECT_EQ(NewClientContext({.ca_pem = pems.ca,
                              .certificate_pem = pems.certificate,
                              .key_pem = NewPrivateKey().value()})
                .code(),
            Code::kInvalid);
  std::string why;
  Owned<SSL> wrong_name = NewClientConnection(*context_, "elsewhere.test");
  client_ = std::make_unique<TlsStream>(std::move(wrong_name), fds_[0]);
  EXPECT_EQ(client_->Handshake(why), Step::kAgain);
  EXPECT_EQ(server_->Handshake(why), Step::kAgain);
  EXPECT_EQ(client_->Handshake(why), Step::kFailed);
  EXPECT_EQ(server_->Handshake(why), Step::kFailed);
}

}  // namespace
}  // namespace tarn::tls
