#include "tunnel/peer_owner.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tunnel/loop.h"

namespace tarn::tunnel {
namespace {

class PeerOwner : public testing::Test {
 protected:
  PeerOwner() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    at_.sin_family = AF_INET;
    at_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof at_;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&at_), bytes), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at_), &bytes);
  }
  Fd Connect() const {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&at_), sizeof at_), 0);
    return fd;
  }
  Fd Accept() const { return Fd(accept(listener_.get(), nullptr, nullptr)); }

  Fd listener_;
  sockaddr_in at_{};
};

TEST_F(PeerOwner, IsWhoMadeTheSocket) {
  Fd client = Connect();
  EXPECT_EQ(OwnerOfPeer(Accept().get()), geteuid());
}

// What a process sent before it closed its socket must not count as root's.
TEST_F(PeerOwner, OfAClosedSocketIsNobody) {
  Connect().Close();
  Fd accepted = Accept();
  EXPECT_EQ(OwnerOfPeer(accepted.get()), std::nullopt);
}

TEST_F(PeerOwner, AnotherUserIsTold) {
  constexpr uid_t kOther = 65534;
  if (geteuid() != 0) return;  // only root becomes another
  int done[2];
  ASSERT_EQ(pipe(done), 0);
  pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    if (setuid(kOther) != 0) _exit(1);
    Fd client = Connect();
    close(done[1]);
    _exit(read(done[0], &byte, 1) == 0 ? 0 : 1);  // keeps it until it was looked at
  }
  Fd accepted = Accept();
  EXPECT_EQ(OwnerOfPeer(accepted.get()), kOther);
  close(done[1]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  close(done[0]);
}

}  // namespace
}  // namespace tarn::tunnel
