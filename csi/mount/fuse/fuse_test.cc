// What can be tested without a kernel or a server: parsing, lock ranges, bytes on the wire.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "csi/mount/fuse/compound.h"
#include "csi/mount/fuse/options.h"
#include "csi/mount/fuse/state.h"

namespace tarn::fuse {
namespace {

using testing::HasSubstr;

TEST(Options, ServerAndExport) {
  Options options;
  ASSERT_TRUE(ParseServer("10.0.0.1:2049", options).ok());
  EXPECT_EQ(options.server.host, "10.0.0.1");
  EXPECT_EQ(options.server.port, 2049);
  ASSERT_TRUE(ParseServer("[fd00::1]:12049", options).ok());
  EXPECT_EQ(options.server.host, "fd00::1");
  ASSERT_TRUE(ParseExport("/fsap-0123456789abcdef0//sub/", options).ok());
  EXPECT_EQ(options.path, (std::vector<std::string>{"fsap-0123456789abcdef0", "sub"}));
  ASSERT_TRUE(ParseExport("/", options).ok());
  EXPECT_TRUE(options.path.empty());
}

TEST(Options, ErrorsNameTheFlag) {
  Options options;
  for (const char* bad :
       {"", "host", ":1", "host:", "host:0", "host:65536", "host:x", "fd00::1:1"}) {
    auto result = ParseServer(bad, options);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_THAT(result.error().message(), HasSubstr("--server"));
  }
  for (const char* bad : {"", "fsap-1", "/a/../b", "/."}) {
    auto result = ParseExport(bad, options);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_THAT(result.error().message(), HasSubstr("--export"));
  }
}

TEST(Options, MountOptions) {
  Options options;
  ASSERT_TRUE(
      ParseMountOptions("ro,hard,timeo=600,actimeo=5,nconnect=2,rsize=65536,uid=7,noexec", options)
          .ok());
  EXPECT_EQ(options.mount_flags, (std::vector<std::string>{"ro", "noexec"}));
  EXPECT_EQ(options.attribute_seconds, 5);
  EXPECT_EQ(options.connections, 2);
  EXPECT_EQ(options.read_bytes, 65536U);
  EXPECT_EQ(options.uid, 7U);
  EXPECT_FALSE(options.gid.has_value());
  auto bad = ParseMountOptions("nconnect=99", options);
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().message(), HasSubstr("nconnect"));
}

std::string Show(const std::vector<LockRange>& held) {
  std::string text;
  for (const LockRange& range : held) {
    text += (range.write ? "w" : "r") + std::to_string(range.offset) + "-" +
            (range.end() == UINT64_MAX ? "" : std::to_string(range.end())) + " ";
  }
  return text;
}

TEST(Options, ASourceIsNoOption) {
  Options options;
  options.source = "127.0.0.1:1:/a,suid,dev\\,b";
  options.mount_flags = {"ro"};
  EXPECT_EQ(
      FuseOptionList(options),
      R"(allow_other,subtype=tarn,max_read=1048576,fsname=127.0.0.1:1:/a\,suid\,dev\\\,b,ro)");
}

TEST(LockRanges, CutAndJoin) {
  std::vector<LockRange> held;
  ApplyLock(held, {10, 20, true}, true);
  ApplyLock(held, {30, 10, true}, true);
  EXPECT_EQ(Show(held), "w10-40 ");
  ApplyLock(held, {20, 5, false}, true);
  EXPECT_EQ(Show(held), "w10-20 r20-25 w25-40 ");
  ApplyLock(held, {15, 15, false}, false);
  EXPECT_EQ(Show(held), "w10-15 w30-40 ");
  ApplyLock(held, {35, UINT64_MAX, false}, true);
  EXPECT_EQ(Show(held), "w10-15 w30-35 r35- ");
  ApplyLock(held, {0, UINT64_MAX, true}, true);
  EXPECT_EQ(Show(held), "w0- ");
  ApplyLock(held, {100, 1, true}, false);
  EXPECT_EQ(Show(held), "w0-100 w101- ");
  ApplyLock(held, {0, UINT64_MAX, true}, false);
  EXPECT_EQ(Show(held), "");
}

std::string Flat(const Compound& request) {
  std::vector<iovec> pieces;
  request.Gather(pieces);
  std::string text;
  for (const iovec& piece : pieces) {
    text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  EXPECT_EQ(text.size(), request.size());
  return text;
}

uint32_t Word(const std::string& text, size_t index) {
  uint32_t value = 0;
  std::memcpy(&value, text.data() + 4 * index, 4);
  return ntohl(value);
}

TEST(Compound, BulkDataIsPaddedAndFollowedByTheNextOperation) {
  std::string data = "seven b";
  Compound request;
  request.PutFh(FileHandle("hand", 4)).Write(99, UNSTABLE4, data).Commit();
  std::string text = Flat(request);
  EXPECT_EQ(Word(text, 2), 3U);  // operations
  size_t at = text.find(data);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(Word(text, at / 4 - 1), 7U);
  EXPECT_EQ(text[at + 7], '\0');
  EXPECT_EQ(Word(text, at / 4 + 2), static_cast<uint32_t>(OP_COMMIT));
}

TEST(Compound, TakesTheLongestNames) {
  std::string name(1000, 'n');
  std::string target(4096, 't');
  Compound request;
  AttributeChange all;
  all.set = 0x3f;
  request.PutFh(FileHandle(name.data(), FileHandle::kBytesMax)).Lookup(name).Rename(name, name);
  request.Create(NF4LNK, name, target, 0, all).SetAttr(all);
  EXPECT_EQ(Word(Flat(request), 2), 5U);
}

// A reply, as its words and texts.
class ReplyText {
 public:
  ReplyText& U(uint32_t value) {
    value = htonl(value);
    text_.append(reinterpret_cast<const char*>(&value), 4);
    return *this;
  }
  ReplyText& Text(std::string text) {
    U(static_cast<uint32_t>(text.size()));
    text.resize((text.size() + 3) / 4 * 4);
    text_ += text;
    return *this;
  }
  void Patch(size_t word, uint32_t value) {
    value = htonl(value);
    std::memcpy(text_.data() + 4 * word, &value, 4);
  }
  Results Make(size_t size = SIZE_MAX) const {
    size = std::min(size, text_.size());
    auto record = std::make_unique<char[]>(size);
    std::memcpy(record.get(), text_.data(), size);
    std::span<const char> body(record.get(), size);
    return Results(std::move(record), body);
  }
  size_t size() const { return text_.size(); }

 private:
  std::string text_;
};

TEST(Results, StopsAtTheFirstFailure) {
  ReplyText reply;
  reply.U(NFS4ERR_NOENT).Text("").U(2).U(OP_PUTFH).U(NFS4_OK).U(OP_LOOKUP).U(NFS4ERR_NOENT);
  Results results = reply.Make();
  EXPECT_EQ(results.Peek(), NFS4ERR_NOENT);
  EXPECT_TRUE(results.Op(OP_PUTFH));
  EXPECT_FALSE(results.Op(OP_LOOKUP));
  EXPECT_TRUE(results.GetFh().empty());
  EXPECT_EQ(results.GetAttr().change, 0U);
  EXPECT_EQ(results.status(), NFS4ERR_NOENT);
  EXPECT_TRUE(results.Reached(OP_LOOKUP));
  EXPECT_FALSE(results.Reached(OP_GETFH));
}

// One directory entry with every kind of length, cut at each byte, and with each word made huge.
TEST(Results, SurvivesEveryCutAndEveryLength) {
  ReplyText reply;
  reply.U(NFS4_OK).Text("tag").U(2).U(OP_PUTFH).U(NFS4_OK).U(OP_READDIR).U(NFS4_OK);
  reply.U(1).U(2).U(1).U(0).U(7).Text("name");
  reply.U(2).U(1U << FATTR4_FILEHANDLE).U(1U << (FATTR4_OWNER - 32)).U(20);
  reply.Text("handle").Text("1000").U(0).U(1);
  auto parse = [](Results results) {
    std::vector<DirectoryEntry> entries;
    bool eof = false;
    results.Op(OP_PUTFH);
    results.ReadDir(entries, eof);
    return std::pair(results.status(), entries);
  };
  auto [status, entries] = parse(reply.Make());
  ASSERT_EQ(status, NFS4_OK);
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].name, "name");
  EXPECT_EQ(entries[0].attributes.handle.view(), "handle");
  EXPECT_EQ(entries[0].attributes.stat.st_uid, 1000U);
  for (size_t size = 0; size < reply.size(); ++size) {
    EXPECT_EQ(parse(reply.Make(size)).first, kMalformed) << size;
  }
  for (size_t at = 0; at < reply.size() / 4; ++at) {
    for (uint32_t huge : {0xffffffffU, 0x7ffffff0U, 0x40000000U}) {
      ReplyText changed = reply;
      changed.Patch(at, huge);
      parse(changed.Make());  // must not crash, loop, or allocate without bound
    }
  }
}

TEST(Results, LockConflict) {
  ReplyText reply;
  reply.U(NFS4ERR_DENIED).Text("").U(2).U(OP_PUTFH).U(0).U(OP_LOCK).U(NFS4ERR_DENIED);
  reply.U(0).U(5).U(0).U(9).U(WRITE_LT).U(1).U(2).Text("owner");
  Results results = reply.Make();
  results.Op(OP_PUTFH);
  LockConflict conflict;
  results.Lock(conflict);
  EXPECT_EQ(results.status(), NFS4ERR_DENIED);
  EXPECT_EQ(conflict.offset, 5U);
  EXPECT_EQ(conflict.length, 9U);
  EXPECT_TRUE(conflict.write);
}

TEST(Errors, EveryStatusHasAnErrno) {
  EXPECT_EQ(ErrnoOf(NFS4_OK), 0);
  EXPECT_EQ(ErrnoOf(NFS4ERR_DQUOT), EDQUOT);
  EXPECT_EQ(ErrnoOf(NFS4ERR_NAMETOOLONG), ENAMETOOLONG);
  EXPECT_EQ(ErrnoOf(kInterrupted), EINTR);
  EXPECT_EQ(ErrnoOf(static_cast<Status>(10099)), EIO);
}

}  // namespace
}  // namespace tarn::fuse
