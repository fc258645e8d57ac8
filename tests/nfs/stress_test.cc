// Several clients at once, each with its own connection, on the same few names and bytes.
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr int kClients = 6;
constexpr int kRounds = 150;

class StressTest : public NfsTest {
 protected:
  // Runs `body` with a client of its own in each of kClients threads.
  void Everybody(const std::function<void(Client&, int)>& body) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < kClients; ++i) clients.push_back(Another("stress-" + std::to_string(i)));
    std::vector<std::thread> threads;
    for (int i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] { body(*clients[static_cast<size_t>(i)], i); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  void ExpectSound() {
    auto problems = world.engine().Check(
        [](std::string_view problem) { ADD_FAILURE() << "check: " << problem; });
    ASSERT_TRUE(problems.ok());
    EXPECT_EQ(*problems, 0U);
  }
};

// What a busy directory may answer.
bool IsExpected(nfsstat4 status) {
  switch (status) {
    case NFS4_OK:
    case NFS4ERR_NOENT:
    case NFS4ERR_EXIST:
    case NFS4ERR_STALE:
    case NFS4ERR_NOTEMPTY:
    case NFS4ERR_ISDIR:
    case NFS4ERR_NOTDIR:
    case NFS4ERR_INVAL:
    case NFS4ERR_MLINK:
    case NFS4ERR_DELAY:
      return true;
    default:
      return false;
  }
}

TEST_P(StressTest, NamesInOneDirectory) {
  auto a = client->Mkdir(root, "a");
  auto b = client->Mkdir(root, "b");
  Everybody([&](Client& c, int who) {
    std::mt19937 dice(static_cast<unsigned>(who));
    auto name = [&dice] { return "n" + std::to_string(dice() % 8); };
    auto place = [&]() -> const Fh& { return dice() % 2 == 0 ? *a : *b; };
    for (int round = 0; round < kRounds; ++round) {
      nfsstat4 status = NFS4_OK;
      switch (dice() % 8) {
        case 0:
        case 1: {
          auto file = c.Create(place(), name());
          status = file.status;
          if (!file.ok()) break;
          status = c.Write(file->fh, file->state, dice() % 100, AsOpaque("data")).status;
          nfsstat4 closed = c.Close(*file);
          if (status == NFS4_OK) status = closed;
          break;
        }
        case 2:
          status = c.Remove(place(), name());
          break;
        case 3:
          status = c.Rename(place(), name(), place(), name());
          break;
        case 4:
          status = c.Mkdir(place(), name()).status;
          break;
        case 5: {
          auto file = c.Lookup(place(), name());
          status = file.ok() ? c.Link(*file, place(), name()) : file.status;
          break;
        }
        case 6:
          status = c.ReadAllOf(place(), 1024).status;
          break;
        default: {
          auto file = c.Lookup(place(), name());
          status = file.ok() ? c.GetAttributes(*file).status : file.status;
        }
      }
      EXPECT_TRUE(IsExpected(status)) << ::testing::PrintToString(status);
    }
  });
  // What READDIR shows is what LOOKUP finds, and each link is counted.
  std::map<uint64_t, uint32_t> links;
  for (const Fh& directory : {*a, *b}) {
    auto entries = client->ReadAllOf(directory, 4096, {FATTR4_FILEID, FATTR4_FILEHANDLE});
    ASSERT_TRUE(entries.ok());
    for (const auto& entry : *entries) {
      EXPECT_EQ(*client->Lookup(directory, entry.name), entry.attributes.filehandle);
      ++links[entry.attributes.fileid];
    }
  }
  for (const Fh& directory : {*a, *b}) {
    auto entries = client->ReadAllOf(directory, 4096, nfs_client::UsualAttributes());
    for (const auto& entry : *entries) {
      if (entry.attributes.type == NF4DIR) continue;
      EXPECT_EQ(entry.attributes.numlinks, links[entry.attributes.fileid]) << entry.name;
    }
  }
  ExpectSound();
}

TEST_P(StressTest, LocksMakeACounterExact) {
  constexpr int kIncrements = 15;
  Fh counter = MakeFile(root, "counter", "0", 0666);
  Everybody([&](Client& c, int) {
    auto file = c.Open(root, "counter");
    ASSERT_TRUE(file.ok());
    for (int i = 0; i < kIncrements; ++i) {
      Answer<nfs_client::LockState> lock;
      do {
        lock = c.Lock(*file, "owner" + std::to_string(i), WRITE_LT, 0, UINT64_MAX);
      } while (lock.status == NFS4ERR_DENIED || lock.status == NFS4ERR_DELAY);
      ASSERT_EQ(lock.status, NFS4_OK);
      auto read = c.Read(file->fh, lock->state, 0, 100);
      ASSERT_TRUE(read.ok());
      std::string next = std::to_string(std::stoi(AsText(read->data)) + 1);
      ASSERT_TRUE(c.Write(file->fh, lock->state, 0, AsOpaque(next), UNSTABLE4).ok());
      ASSERT_EQ(c.Unlock(*file, *lock, 0, UINT64_MAX), NFS4_OK);
    }
    EXPECT_EQ(c.Close(*file), NFS4_OK);
  });
  EXPECT_EQ(Content(counter), std::to_string(kClients * kIncrements));
}

TEST_P(StressTest, ExclusiveCreateHasOneWinner) {
  std::atomic<int> winners{0};
  Everybody([&](Client& c, int who) {
    OpenRequest request;
    request.create = GUARDED4;
    for (int i = 0; i < 10; ++i) {
      request.owner = "o" + std::to_string(who);
      auto made = c.Open(root, "prize" + std::to_string(i), request);
      if (made.ok()) {
        winners.fetch_add(1);
        EXPECT_EQ(c.Close(*made), NFS4_OK);
      } else {
        EXPECT_EQ(made.status, NFS4ERR_EXIST);
      }
    }
  });
  EXPECT_EQ(winners.load(), 10);
}

TEST_P(StressTest, ClientsComeAndGo) {
  Everybody([&](Client&, int who) {
    for (int i = 0; i < 10; ++i) {
      auto visitor =
          world.Mount(minor(), "visitor-" + std::to_string(who), 1U + static_cast<unsigned>(i));
      ASSERT_TRUE(visitor);
      auto file = visitor->Create(root, "v" + std::to_string(who));
      ASSERT_TRUE(file.ok());
      if (i % 2 == 0) {
        EXPECT_EQ(visitor->Close(*file), NFS4_OK);
      }
      if (minor() > 0 && i % 3 == 0) {
        EXPECT_EQ(visitor->DestroySession(), NFS4_OK);
      }
    }
  });
  ExpectSound();
}

NFS_SUITE(StressTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
