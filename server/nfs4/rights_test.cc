// What a connection may do, by Exports::RightsOf.
#include <gtest/gtest.h>

#include "server/nfs4/testing/harness.h"

namespace tarn::nfs4 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

class RightsTest : public ::testing::Test {
 protected:
  RightsTest() {
    auto realm = harness_.files->EnsureRealm("/point", vfs::CreationInfo{.permissions = 0777});
    EXPECT_TRUE(realm.ok());
    point_ = std::make_shared<Export>(*harness_.root);
    point_->number = 7;
    point_->realm = *realm;
    point_->root = harness_.files->RealmRoot(*realm).value();
    harness_.exports->Add(kName, point_);
    client_.Start();
    // A file of somebody else, that everybody may read and write.
    std::string handle;
    stateid4 open = client_.OpenFile("file", handle);
    file_ = handle;
    auto found = harness_.files->Lookup(kRoot, harness_.root->root, "file");
    EXPECT_TRUE(harness_.files->SetAttributes(kRoot, found->id, Mode(0666)).ok());
    client_.Run({PutFh(Keep(file_)), Op(OP_CLOSE, CLOSE4args{.seqid = 0, .open_stateid = open})});
  }

  static vfs::AttributeChange Mode(uint32_t mode) {
    vfs::AttributeChange change;
    change.mode = mode;
    return change;
  }
  nfsstat4 Look(const std::string& name) {
    return client_.Run({Op(OP_PUTROOTFH), Lookup(name), Op(OP_GETFH)}).status();
  }
  static nfs_argop4 Lookup(const std::string& name) {
    return Op(OP_LOOKUP, LOOKUP4args{.objname = AsText(name)});
  }
  static std::string_view AsText(const std::string& name) {
    xdr::Opaque kept = Keep(name);
    return {reinterpret_cast<const char*>(kept.data()), kept.size()};
  }
  static nfs_argop4 GetAttr() {
    xdr::Bitmap wanted;
    wanted.Set(FATTR4_TYPE);
    return Op(OP_GETATTR, GETATTR4args{.attr_request = wanted});
  }
  nfsstat4 MakeDirectory(const std::string& name) {
    CREATE4args make;
    make.objtype.type = NF4DIR;
    make.objname = AsText(name);
    return client_.Run({Op(OP_PUTROOTFH), Op(OP_CREATE, make)}).status();
  }

  static inline const vfs::Caller kRoot{.uid = 0, .gid = 0, .gids = {}};
  static constexpr const char* kName = "fsap-00000000000000001";
  Harness harness_;
  Client41 client_{harness_, "client"};
  std::shared_ptr<Export> point_;
  std::string file_;
};

TEST_F(RightsTest, WithoutMountNothingIsReached) {
  harness_.exports->SetRights({.mount = false, .write = true, .root = true});
  EXPECT_EQ(Look("file"), NFS4ERR_ACCESS);
  EXPECT_EQ(client_.Run({Op(OP_PUTROOTFH)}).status(), NFS4ERR_ACCESS);
  // A handle from before opens nothing either.
  EXPECT_EQ(client_.Run({PutFh(Keep(file_)), GetAttr()}).status(), NFS4ERR_ACCESS);
  READ4args read{.stateid = {}, .offset = 0, .count = 10};
  EXPECT_EQ(client_.Run({PutFh(Keep(file_)), Op(OP_READ, read)}).status(), NFS4ERR_ACCESS);
  // Given back, it goes on.
  harness_.exports->SetRights({});
  EXPECT_EQ(Look("file"), NFS4_OK);
}

// What it holds must not keep others out.
TEST_F(RightsTest, WithoutMountAnOpenIsStillClosed) {
  std::string handle;
  stateid4 open = client_.OpenFile("other", handle);
  harness_.exports->SetRights({.mount = false, .write = true, .root = true});
  READ4args read{.stateid = open, .offset = 0, .count = 10};
  EXPECT_EQ(client_.Run({PutFh(Keep(handle)), Op(OP_READ, read)}).status(), NFS4ERR_ACCESS);
  CLOSE4args close{.seqid = 0, .open_stateid = open};
  EXPECT_EQ(client_.Run({PutFh(Keep(handle)), Op(OP_CLOSE, close)}).status(), NFS4_OK);
}

TEST_F(RightsTest, WithoutWriteAllIsReadOnly) {
  harness_.exports->SetRights({.mount = true, .write = false, .root = true});
  EXPECT_EQ(Look("file"), NFS4_OK);
  EXPECT_EQ(MakeDirectory("new"), NFS4ERR_ROFS);
  std::string data = "x";
  WRITE4args write{.stateid = {}, .offset = 0, .stable = UNSTABLE4, .data = Keep(data)};
  EXPECT_EQ(client_.Run({PutFh(Keep(file_)), Op(OP_WRITE, write)}).status(), NFS4ERR_ROFS);
  std::string handle;
  client_.OpenFile("file", handle, OPEN4_SHARE_ACCESS_WRITE, 0, NFS4ERR_ROFS);
  client_.OpenFile("file", handle, OPEN4_SHARE_ACCESS_READ, 0, NFS4_OK);
}

TEST_F(RightsTest, WithoutRootAccessRootIsSquashed) {
  harness_.exports->SetRights({.mount = true, .write = true, .root = false});
  EXPECT_EQ(MakeDirectory("new"), NFS4ERR_ACCESS);  // the root directory is root's
  harness_.credential.gids = {0, 5};
  EXPECT_EQ(MakeDirectory("new"), NFS4ERR_ACCESS);
  ASSERT_TRUE(harness_.files->SetAttributes(kRoot, harness_.root->root, Mode(0777)).ok());
  EXPECT_EQ(MakeDirectory("new"), NFS4_OK);
  auto made = harness_.files->Lookup(kRoot, harness_.root->root, "new");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->uid, kSquashedId);
  EXPECT_EQ(made->gid, kSquashedId);
  // Others are who they are.
  harness_.credential = {.flavor = rpc::AUTH_SYS, .uid = 1000, .gid = 1000, .gids = {}};
  EXPECT_EQ(MakeDirectory("theirs"), NFS4_OK);
  EXPECT_EQ(harness_.files->Lookup(kRoot, harness_.root->root, "theirs")->uid, 1000u);
}

TEST_F(RightsTest, AnAccessPointsRootUserIsSquashedToo) {
  point_->user = PosixUser{.uid = 0, .gid = 0, .gids = {}};
  harness_.exports->SetRights({.mount = true, .write = true, .root = false});
  CREATE4args make;
  make.objtype.type = NF4DIR;
  make.objname = AsText("new");
  EXPECT_EQ(client_.Run({Op(OP_PUTROOTFH), Lookup(kName), Op(OP_CREATE, make)}).status(), NFS4_OK);
  EXPECT_EQ(harness_.files->Lookup(kRoot, point_->root, "new")->uid, kSquashedId);
}

// Where only access points may be mounted, their file system's root leads to them and to nothing
// else.
TEST_F(RightsTest, ARootIsPassedThroughToAccessPoints) {
  harness_.exports->SetRights({.mount = false, .write = false, .root = false, .pass = true}, 0);
  EXPECT_EQ(client_.Run({Op(OP_PUTROOTFH), Op(OP_GETFH), GetAttr()}).status(), NFS4_OK);
  EXPECT_EQ(Look(kName), NFS4_OK);
  EXPECT_EQ(Look("file"), NFS4ERR_ACCESS);
  EXPECT_EQ(Look("nothing"), NFS4ERR_ACCESS);
  EXPECT_EQ(client_.Run({PutFh(Keep(file_)), GetAttr()}).status(), NFS4ERR_ACCESS);
  READDIR4args list{.cookie = 0, .cookieverf = {}, .dircount = 1000, .maxcount = 4000};
  EXPECT_EQ(client_.Run({Op(OP_PUTROOTFH), Op(OP_READDIR, list)}).status(), NFS4ERR_ACCESS);
  EXPECT_EQ(MakeDirectory("new"), NFS4ERR_ACCESS);
  EXPECT_EQ(client_.Run({Op(OP_PUTROOTFH), Op(OP_SECINFO, SECINFO4args{.name = AsText("file")})})
                .status(),
            NFS4ERR_ACCESS);
  // Another access point that may not be mounted is not entered.
  harness_.exports->SetRights({.mount = false, .write = false, .root = false}, 7);
  EXPECT_EQ(Look(kName), NFS4ERR_ACCESS);
}

}  // namespace
}  // namespace tarn::nfs4
