#include "server/vfs/ranges.h"

#include <gtest/gtest.h>

namespace tarn::vfs {
namespace {

constexpr uint64_t kBlock = kCloneBlockBytes;

TEST(Ranges, AllocateStaysWithinTheLargestFile) {
  EXPECT_EQ(CheckAllocate(0, 0).code(), Code::kInvalid);
  EXPECT_EQ(CheckAllocate(0, kFileBytesMax).code(), Code::kOk);
  EXPECT_EQ(CheckAllocate(1, kFileBytesMax).code(), Code::kFileTooBig);
  EXPECT_EQ(CheckAllocate(~uint64_t{0}, 1).code(), Code::kFileTooBig);
  EXPECT_EQ(CheckAllocate(0, ~uint64_t{0}).code(), Code::kFileTooBig);
}

TEST(Ranges, ACloneIsOfWholeBlocksUnlessBothFilesEnd) {
  Transfer transfer{.source_size = 3 * kBlock + 5, .target_size = 10 * kBlock};
  auto of = [&](uint64_t from, uint64_t to, uint64_t length) {
    transfer.source_offset = from;
    transfer.target_offset = to;
    transfer.length = length;
    return CloneLength(transfer);
  };
  EXPECT_EQ(*of(0, kBlock, 2 * kBlock), 2 * kBlock);
  EXPECT_EQ(of(1, 0, kBlock).code(), Code::kInvalid);
  EXPECT_EQ(of(0, 1, kBlock).code(), Code::kInvalid);
  EXPECT_EQ(of(0, 0, 5).code(), Code::kInvalid);
  EXPECT_EQ(of(0, 0, 4 * kBlock).code(), Code::kInvalid);  // not all there
  EXPECT_EQ(of(4 * kBlock, 0, 0).code(), Code::kInvalid);  // behind the end
  EXPECT_EQ(of(0, 0, 0).code(), Code::kInvalid);           // would end within the target
  EXPECT_EQ(*of(kBlock, 8 * kBlock, 0), 2 * kBlock + 5);   // ends at its end
  EXPECT_EQ(*of(0, 20 * kBlock, 0), 3 * kBlock + 5);       // and behind it
  EXPECT_EQ(of(0, kFileBytesMax / kBlock * kBlock, 0).code(), Code::kFileTooBig);
}

TEST(Ranges, RangesOfOneFileMustNotOverlap) {
  Transfer transfer{.one_file = true, .source_size = 10 * kBlock, .target_size = 10 * kBlock};
  transfer.length = 2 * kBlock;
  transfer.target_offset = kBlock;
  EXPECT_EQ(CloneLength(transfer).code(), Code::kInvalid);
  EXPECT_EQ(CopyLength(transfer).code(), Code::kInvalid);
  transfer.target_offset = 2 * kBlock;
  EXPECT_EQ(*CloneLength(transfer), 2 * kBlock);
  EXPECT_EQ(*CopyLength(transfer), 2 * kBlock);
}

TEST(Ranges, ACopyEndsWithItsSource) {
  Transfer transfer{.source_offset = 3, .source_size = 10, .target_offset = 5, .length = 100};
  EXPECT_EQ(*CopyLength(transfer), 7u);
  transfer.length = 0;
  EXPECT_EQ(*CopyLength(transfer), 7u);
  transfer.source_offset = 10;
  EXPECT_EQ(*CopyLength(transfer), 0u);
  transfer.source_offset = ~uint64_t{0};
  EXPECT_EQ(*CopyLength(transfer), 0u);
}

}  // namespace
}  // namespace tarn::vfs
