// What a crash interrupts is no damage: writes in the journal, and those in place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "server/engine/local/integrity_fixture.h"
#include "server/engine/local/store.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JournalTest : public Integrity {};

TEST_F(JournalTest, SmallWritesAreDurableInTheJournal) {
  std::string text = Pattern(1'000'000, 3);
  FileId file = Make("file");
  Write(file, 0, text);
  Commit(file);
  std::string path = ChunkPath(file);
  auto stored = [&] {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  std::string before = stored();
  for (uint64_t offset : {0ul, 4096ul, 5000ul, 99'999ul, 400'000ul, 999'990ul}) {
    std::string part = Pattern(3000, offset);
    Write(file, offset, part, Stability::kFileSync);
    if (text.size() < offset + part.size()) text.resize(offset + part.size());
    text.replace(offset, part.size(), part);
  }
  FileId fresh = Make("fresh");  // never in a chunk file so far
  Write(fresh, 20'000, "twenty", Stability::kFileSync);
  EXPECT_EQ(stored(), before) << "the chunk file is not touched before the reply";
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  EXPECT_THAT(Check(), IsEmpty());
  Kill();
  // Half of a block came to the chunk file before the power went.
  Flip(ChunkPath(file), 4096 + 1000, 1);
  Open();
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  EXPECT_EQ(*Read(fresh, 20'000, 10), "twenty");
  EXPECT_THAT(Check(), IsEmpty());
  Close();  // which brings it into the chunk files
  Open();
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  EXPECT_EQ(*Read(fresh, 20'000, 10), "twenty");
  EXPECT_THAT(Scrub(), IsEmpty());
  EXPECT_THAT(Check(), IsEmpty());
  Flip(ChunkPath(file), 4096 + 1000, 1);
  EXPECT_EQ(Read(file, 4096, 10).code(), Code::kIo) << "what was in the journal has sums now";
}

TEST_F(JournalTest, AnOverwriteThatACrashCutsOffIsNoDamage) {
  std::string text = Pattern(12u << 20, 4);
  FileId file = Make("file");
  Write(file, 0, text);
  Commit(file);
  uint64_t from = 1u << 20;
  Write(file, from, Pattern(2u << 20, 5));  // and no COMMIT
  Kill();
  Flip(ChunkPath(file), 11u << 20, 0);  // far from what was being overwritten
  Open();
  auto read = Read(file, 0, 1u << 20);
  EXPECT_EQ(*read, text.substr(0, 1u << 20));
  for (uint64_t at = 0; at < 2u << 20; at += kBlock) {
    ASSERT_TRUE(Read(file, from + at, kBlock).ok()) << "old or new bytes, and no error";
  }
  EXPECT_EQ(Read(file, 11u << 20, 1).code(), Code::kIo) << "all else stays verified";
  for (int i = 0; i < 1000 && Scrub().size() != 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("offset " + std::to_string(11u << 20))));
  // Settled: from now on it is verified again, also after the next start.
  Close();
  Open();
  Flip(ChunkPath(file), from + 12'345, 5);
  auto damaged = Read(file, from + 12'345, 1);
  EXPECT_EQ(damaged.code(), Code::kIo);
}

TEST_F(JournalTest, AfterAnOrderlyEndWhatWasOverwrittenIsVerified) {
  FileId file = Make("file");
  Write(file, 0, Pattern(1u << 20, 4));
  Commit(file);
  Write(file, 0, Pattern(1u << 20, 5));  // in place, with a mark
  Commit(file);
  Close();
  Open();
  Flip(ChunkPath(file), 12'345, 5);
  EXPECT_EQ(Read(file, 12'345, 1).code(), Code::kIo);
}

TEST_F(JournalTest, OverwritesOfEverySizeSurviveAKill) {
  options_.journal_apply_after = std::chrono::milliseconds(0);
  options_.journal_bytes = 256 << 10;
  Close();
  Open();
  std::mt19937_64 random(11);
  std::string text = Pattern(3u << 20, 6);
  FileId file = Make("file");
  Write(file, 0, text);
  Commit(file);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 60; ++i) {
      uint64_t offset = random() % text.size();
      size_t bytes = 1 + random() % (random() % 4 == 0 ? 400'000 : 9'000);
      std::string part = Pattern(std::min<size_t>(bytes, text.size() - offset), random());
      Write(file, offset, part, random() % 3 == 0 ? Stability::kFileSync : Stability::kUnstable);
      text.replace(offset, part.size(), part);
      if (random() % 8 == 0) {
        ASSERT_EQ(*Read(file, offset, part.size()), part);
      }
    }
    Commit(file);
    Kill();
    Open();
    auto read = Read(file, 0, text.size());
    ASSERT_TRUE(read.ok()) << read.error().ToString();
    ASSERT_TRUE(*read == text) << "round " << round;
    EXPECT_THAT(Scrub(), IsEmpty());
    EXPECT_THAT(Check(), IsEmpty());
  }
}

TEST_F(JournalTest, ACutTakesTheJournalAlong) {
  std::string text = Pattern(200'000, 8);
  FileId file = Make("file");
  Write(file, 0, text);
  Commit(file);
  Write(file, 150'000, Pattern(5000, 9), Stability::kFileSync);
  AttributeChange cut;
  cut.size = 100'000;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, file, cut).ok());
  cut.size = 200'000;
  ASSERT_TRUE(fs_->SetAttributes(kRoot, file, cut).ok());
  text.replace(100'000, 100'000, 100'000, '\0');
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  FileId gone = Make("gone");
  Write(gone, 0, Pattern(50'000, 10), Stability::kFileSync);
  ASSERT_TRUE(fs_->Remove(kRoot, top_, "gone").ok());
  Kill();
  Open();
  EXPECT_EQ(*Read(file, 0, text.size()), text);
  EXPECT_THAT(Check(), IsEmpty());
}

// Nobody knows what was in a block of the table that is damaged, but for whom it may have been.
TEST_F(JournalTest, ADamagedRowIsAnErrorOfItsFileAlone) {
  std::string text(20'000, 'J');
  FileId before = Make("before");
  FileId damaged = Make("damaged");
  FileId after = Make("after");
  Write(before, 0, Pattern(20'000, 17), Stability::kFileSync);
  Write(damaged, 0, text, Stability::kFileSync);
  Write(after, 0, Pattern(20'000, 18), Stability::kFileSync);
  Kill();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Store::Open(options_).ok());  // what is in the log becomes a table
  }
  std::string table;
  size_t place = std::string::npos;
  for (auto& entry : std::filesystem::directory_iterator(options_.data_dir + "/meta")) {
    if (entry.path().extension() != ".sst" || place != std::string::npos) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    table = entry.path();
    place = std::string(std::istreambuf_iterator<char>(in), {}).find(std::string(100, 'J'));
  }
  ASSERT_NE(place, std::string::npos);
  Flip(table, place + 10'000, 3);  // the third block of it
  Open();
  EXPECT_EQ(Read(damaged, 0, 10).code(), Code::kCorrupt);
  EXPECT_EQ(*Read(before, 0, 20'000), Pattern(20'000, 17));
  EXPECT_EQ(*Read(after, 0, 20'000), Pattern(20'000, 18));
  Write(Make("fresh"), 0, text, Stability::kFileSync);
  ASSERT_TRUE(fs_->Remove(kRoot, top_, "damaged").ok());
}

}  // namespace
}  // namespace tarn::local
