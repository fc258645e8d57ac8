// What the suites about delegations share.
#pragma once

#include <thread>

#include "tests/nfs/world.h"

namespace tarn::nfs_test {

inline constexpr uint32_t kDown = SEQ4_STATUS_CB_PATH_DOWN | SEQ4_STATUS_CB_PATH_DOWN_SESSION;

// Whether, of kDown, these are what SEQUENCE tells, once the server has noticed something.
inline bool BackChannelFlagsBecome(World& world, Client& client, uint32_t flags) {
  for (int i = 0; i < 2000; ++i) {
    world.Advance(std::chrono::seconds(0));
    EXPECT_EQ(client.Renew(), NFS4_OK);
    if ((client.status_flags() & kDown) == flags) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

// A client "holder" that takes callbacks, and "client", which does not, in a file system with
// delegations.
class DelegationTest : public NfsTest {
 protected:
  DelegationTest() {
    world.AllowDelegations();
    holder = MountCallable("holder");
    file = MakeFile(root, "file", "content");
  }

  std::unique_ptr<Client> MountCallable(const std::string& owner) {
    ClientOptions options = world.Options(minor(), owner);
    options.callbacks = true;
    auto mounted = Client::Mount(options);
    EXPECT_EQ(mounted.status, NFS4_OK);
    // It is asked whether it is there.
    while (mounted.ok() && mounted.value->callbacks().nulls == 0) {
      if (!mounted.value->WaitCallback()) break;
    }
    return std::move(mounted.value);
  }

  static SetAttributes Mode0600() {
    SetAttributes set;
    set.mode = 0600;
    return set;
  }
  static OpenRequest For(uint32_t access) {
    OpenRequest request;
    request.access = access;
    return request;
  }
  static const stateid4& DelegationOf(const OpenFile& opened) {
    const open_delegation4& given = opened.result.delegation;
    return given.delegation_type == OPEN_DELEGATE_WRITE ? given.write.stateid : given.read.stateid;
  }
  // Opens until there is a delegation: the server may not have seen yet that we answered CB_NULL,
  // and a 4.0 owner has to be confirmed first.
  OpenFile OpenDelegated(Client& by, uint32_t access, std::string_view name = "file") {
    for (int i = 0; i < 1000; ++i) {
      auto opened = by.Open(root, name, For(access));
      EXPECT_EQ(opened.status, NFS4_OK);
      if (!opened.ok() || opened->result.delegation.delegation_type != OPEN_DELEGATE_NONE) {
        return *opened;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "no delegation";
    return {};
  }
  // The holder is called for what it holds, and gives it back.
  void ExpectRecall(Client& by, const OpenFile& opened) {
    by.callbacks().calls.clear();
    ASSERT_TRUE(by.WaitCallback());
    ASSERT_EQ(by.callbacks().calls.size(), 1U);
    const auto& call = by.callbacks().calls[0];
    EXPECT_EQ(call.op, OP_CB_RECALL);
    EXPECT_EQ(call.stateid.other, DelegationOf(opened).other);
    EXPECT_EQ(call.fh, opened.fh);
    EXPECT_EQ(call.minor, minor());
    EXPECT_EQ(call.ident, minor() == 0 ? 1U : 0U);
    if (minor() >= 1) {
      EXPECT_EQ(call.sequence.csa_sessionid, by.session_id());
      EXPECT_EQ(call.sequence.csa_referring_call_lists.size(), 1U);
    }
    EXPECT_EQ(by.ReturnDelegation(opened.fh, DelegationOf(opened)), NFS4_OK);
  }

  std::unique_ptr<Client> holder;
  Fh file;
};

}  // namespace tarn::nfs_test
