#include "tunnel/record_watch.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace tarn::tunnel {
namespace {

using Bytes = std::vector<std::byte>;
constexpr uint32_t kLast = 0x80000000u;

void AddWord(Bytes& bytes, uint32_t word) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::byte>(word >> shift & 0xff));
  }
}

// A record of one fragment.
Bytes Record(uint32_t type, size_t body) {
  Bytes bytes;
  AddWord(bytes, kLast | static_cast<uint32_t>(8 + body));
  AddWord(bytes, 7);  // xid
  AddWord(bytes, type);
  bytes.resize(bytes.size() + body, std::byte{0x80});
  return bytes;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

TEST(RecordWatch, CountsCallsAndRepliesHoweverTheyAreCut) {
  Bytes all = Record(0, 100) + Record(1, 0) + Record(0, 5000) + Record(1, 3) + Record(0, 0);
  std::mt19937 random(1);
  for (int turn = 0; turn < 200; ++turn) {
    RecordWatch watch;
    for (size_t at = 0; at < all.size();) {
      size_t piece = std::min<size_t>(1 + random() % 40, all.size() - at);
      ASSERT_EQ(watch.Pass({all.data() + at, piece}, false), piece);
      at += piece;
    }
    EXPECT_TRUE(watch.between_records());
    EXPECT_EQ(watch.calls(), 3u);
    EXPECT_EQ(watch.replies(), 2u);
  }
}

TEST(RecordWatch, IsBetweenRecordsAtTheirEndsOnly) {
  Bytes record = Record(0, 20);
  RecordWatch watch;
  EXPECT_TRUE(watch.between_records());
  for (size_t i = 0; i < record.size(); ++i) {
    watch.Pass({record.data() + i, 1}, false);
    EXPECT_EQ(watch.between_records(), i + 1 == record.size()) << i;
  }
}

TEST(RecordWatch, ARecordOfSeveralFragmentsIsOne) {
  Bytes record;
  AddWord(record, 4);  // the xid alone
  AddWord(record, 7);
  AddWord(record, 0);  // an empty fragment
  AddWord(record, 6);
  AddWord(record, 0);  // the type
  record.resize(record.size() + 2);
  AddWord(record, kLast);  // an empty last one
  RecordWatch watch;
  watch.Pass({record.data(), record.size() - 4}, false);
  EXPECT_EQ(watch.calls(), 1u);
  EXPECT_FALSE(watch.between_records());
  watch.Pass({record.data() + record.size() - 4, 4}, false);
  EXPECT_TRUE(watch.between_records());
  watch.Pass(record, false);
  EXPECT_EQ(watch.calls(), 2u);
}

TEST(RecordWatch, HoldsBeforeTheNextCallAndLetsRepliesPass) {
  RecordWatch watch;
  Bytes first = Record(0, 50);
  watch.Pass({first.data(), 10}, false);
  // The rest of the running call passes, a reply passes, the next call does not.
  Bytes rest(first.begin() + 10, first.end());
  size_t passes = rest.size() + Record(1, 30).size();
  Bytes all = rest + Record(1, 30) + Record(0, 10) + Record(1, 1);
  EXPECT_EQ(watch.Pass(all, true), passes);
  EXPECT_TRUE(watch.between_records());
  EXPECT_EQ(watch.calls(), 1u);
  EXPECT_EQ(watch.replies(), 1u);
  std::span<const std::byte> held(all.data() + passes, all.size() - passes);
  EXPECT_EQ(watch.Pass(held, true), 0u);
  EXPECT_EQ(watch.Pass(held, false), held.size());
  EXPECT_EQ(watch.calls(), 2u);
}

TEST(RecordWatch, HoldsWhatDoesNotSayYetWhatItIs) {
  Bytes reply = Record(1, 10);
  RecordWatch watch;
  EXPECT_EQ(watch.Pass({reply.data(), RecordWatch::kHeadBytes - 1}, true), 0u);
  EXPECT_EQ(watch.Pass(reply, true), reply.size());
}

TEST(RecordWatch, WhatIsNoRpcDoesNoHarm) {
  Bytes text(100'000, std::byte{'a'});
  RecordWatch watch;
  EXPECT_EQ(watch.Pass(text, false), text.size());
  EXPECT_EQ(watch.calls() + watch.replies(), 0u);
}

}  // namespace
}  // namespace tarn::tunnel
