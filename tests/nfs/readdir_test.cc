// READDIR: RFC 8881 section 18.23.
#include <algorithm>
#include <set>
#include <thread>

#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

class ReaddirTest : public NfsTest {
 protected:
  void Fill(const Fh& directory, int count) {
    for (int i = 0; i < count; ++i) MakeEntry(directory, "file" + std::to_string(i));
  }
  // By several clients at once: an engine that waits for a disk has then less of it.
  void FillMuch(const Fh& directory, int count) {
    constexpr int kClients = 16;
    std::vector<std::thread> threads;
    for (int t = 0; t < kClients; ++t) {
      threads.emplace_back([this, &directory, count, t] {
        auto filler = Another("filler-" + std::to_string(t));
        for (int i = t; i < count; i += kClients) {
          EXPECT_TRUE(filler->Symlink(directory, "file" + std::to_string(i), "t").ok());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  void MakeEntry(const Fh& directory, const std::string& name) {
    // Symlinks: one call each, in any version.
    EXPECT_TRUE(client->Symlink(directory, name, "t").ok());
  }
};

TEST_P(ReaddirTest, EmptyAndSmall) {
  auto directory = client->Mkdir(root, "d");
  EXPECT_TRUE(Names(*directory).empty());
  Fill(*directory, 3);
  EXPECT_EQ(Names(*directory), (std::vector<std::string>{"file0", "file1", "file2"}));
}

TEST_P(ReaddirTest, AttributesOfEntries) {
  Fh file = MakeFile(root, "file", "12345", 0640);
  auto directory = client->Mkdir(root, "dir");
  xdr::Bitmap wanted{FATTR4_TYPE,   FATTR4_SIZE, FATTR4_RDATTR_ERROR,     FATTR4_FILEHANDLE,
                     FATTR4_FILEID, FATTR4_MODE, FATTR4_MOUNTED_ON_FILEID};
  auto entries = client->ReadAllOf(root, 32768, wanted);
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 2U);
  for (const auto& entry : *entries) {
    EXPECT_EQ(entry.attributes.filehandle, entry.name == "file" ? file : *directory);
    EXPECT_EQ(entry.attributes.type, entry.name == "file" ? NF4REG : NF4DIR);
    auto direct = client->GetAttributes(entry.attributes.filehandle);
    EXPECT_EQ(entry.attributes.fileid, direct->fileid);
    EXPECT_EQ(entry.attributes.mode, direct->mode);
    EXPECT_EQ(entry.attributes.size, direct->size);
    EXPECT_GT(entry.cookie, 2U) << "cookies 0, 1 and 2 are reserved";
  }
}

TEST_P(ReaddirTest, TenThousandEntriesInPagesOfEverySize) {
  constexpr int kEntries = 10'000;
  auto directory = client->Mkdir(root, "big");
  FillMuch(*directory, kEntries);
  for (uint32_t bytes : {4096U, 65'536U}) {
    auto entries = client->ReadAllOf(*directory, bytes, {FATTR4_FILEID, FATTR4_TYPE});
    ASSERT_EQ(entries.status, NFS4_OK);
    std::set<std::string> names;
    std::set<uint64_t> cookies;
    for (const auto& entry : *entries) {
      EXPECT_TRUE(names.insert(entry.name).second) << "twice: " << entry.name;
      EXPECT_TRUE(cookies.insert(entry.cookie).second);
    }
    EXPECT_EQ(names.size(), static_cast<size_t>(kEntries));
  }
}

TEST_P(ReaddirTest, WhatIsThereAllTheTimeIsSeenOnceThoughOthersComeAndGo) {
  auto directory = client->Mkdir(root, "busy");
  for (int i = 0; i < 300; ++i) {
    MakeEntry(*directory, "stay" + std::to_string(i));
    MakeEntry(*directory, "go" + std::to_string(i));
  }
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  verifier4 verifier{};
  int round = 0;
  for (bool end = false; !end; ++round) {
    auto page = client->ReadDirectory(*directory, cookie, verifier, 1024);
    ASSERT_EQ(page.status, NFS4_OK);
    for (const auto& entry : page->entries) seen.insert(entry.name);
    end = page->end;
    verifier = page->verifier;
    if (!page->entries.empty()) cookie = page->entries.back().cookie;
    // The last entry of the page goes too: its cookie must still be good.
    if (!page->entries.empty() && page->entries.back().name.starts_with("go")) {
      EXPECT_EQ(client->Remove(*directory, page->entries.back().name), NFS4_OK);
    }
    client->Remove(*directory, "go" + std::to_string(299 - round));
    MakeEntry(*directory, "new" + std::to_string(round));
  }
  for (int i = 0; i < 300; ++i) EXPECT_EQ(seen.count("stay" + std::to_string(i)), 1U) << i;
}

TEST_P(ReaddirTest, CookiesSurviveARestart) {
  auto directory = client->Mkdir(root, "d");
  Fill(*directory, 200);
  auto first = client->ReadDirectory(*directory, 0, {}, 2048);
  ASSERT_TRUE(first.ok());
  ASSERT_FALSE(first->end);
  world.Restart();
  auto again = world.Mount(minor());
  auto rest =
      again->ReadDirectory(*directory, first->entries.back().cookie, first->verifier, 1 << 20);
  ASSERT_EQ(rest.status, NFS4_OK);
  EXPECT_EQ(first->entries.size() + rest->entries.size(), 200U);
}

TEST_P(ReaddirTest, Errors) {
  Fh file = MakeFile(root, "f");
  EXPECT_EQ(client->ReadDirectory(file, 0, {}, 4096).status, NFS4ERR_NOTDIR);
  EXPECT_EQ(client->ReadDirectory(root, 0, {}, 8).status, NFS4ERR_TOOSMALL);
  for (uint64_t reserved : {1U, 2U}) {
    EXPECT_EQ(client->ReadDirectory(root, reserved, {}, 4096).status, NFS4ERR_BAD_COOKIE);
  }
  SetAttributes closed;
  closed.mode = 0311;
  auto secret = client->Mkdir(root, "secret", closed);
  auto other = Another("other", {.uid = 1000, .gid = 1000, .gids = {}, .none = false});
  EXPECT_EQ(other->ReadDirectory(*secret, 0, {}, 4096).status, NFS4ERR_ACCESS);
}

TEST_P(ReaddirTest, ReplyKeepsToMaxcount) {
  Fill(root, 200);
  for (uint32_t bytes : {200U, 512U, 1000U, 4096U}) {
    Compound compound;
    compound.Root().Add(OP_READDIR, READDIR4args{.cookie = 0,
                                                 .cookieverf = {},
                                                 .dircount = bytes,
                                                 .maxcount = bytes,
                                                 .attr_request = {FATTR4_FILEID, FATTR4_TYPE}});
    CompoundReply reply = client->Run(compound);
    ASSERT_EQ(reply.status, NFS4_OK);
    xdr::Encoder size;
    Encode(size, reply.Get<READDIR4res>(1).resok4);
    EXPECT_LE(size.size(), bytes);
    EXPECT_FALSE(reply.Get<READDIR4res>(1).resok4.reply.entries.empty());
  }
}

NFS_SUITE(ReaddirTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
