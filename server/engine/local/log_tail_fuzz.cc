// The ends of logs and of the list of tables: whatever lies there, what is cut off is a tail behind
// the last whole record, cutting again finds nothing, and whole records in front stay.
#include <algorithm>
#include <cstring>
#include <string>

#include "common/fuzz.h"
#include "common/log.h"
#include "server/engine/local/log_format.h"
#include "server/engine/local/log_tail.h"
#include "server/engine/local/testing/simulated_disk.h"

using namespace tarn;         // NOLINT(google-build-using-namespace)
using namespace tarn::local;  // NOLINT(google-build-using-namespace)

namespace {

constexpr auto kNobodyKnows = static_cast<PartType>(9);
constexpr size_t kFileMax = 4 * kLogBlock;

// A log of pieces, each named by a control byte and two bytes of length: parts of records, filler,
// zeros, bytes of the input.
class Log {
 public:
  explicit Log(std::string_view input) : rest_(input) {
    while (!rest_.empty() && bytes_.size() < kFileMax) Add();
  }

  const std::string& bytes() const { return bytes_; }
  // Its whole records, in front of all else, end here.
  size_t good() const { return good_; }
  // Behind them is nothing that could be taken for a record.
  bool only_tail() const { return only_tail_; }

 private:
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  size_t BlockLeft() const { return kLogBlock - bytes_.size() % kLogBlock; }

  void Add() {
    uint8_t control = Byte();
    size_t length = Byte();
    length |= static_cast<size_t>(Byte()) << 8;
    switch (control % 8) {
      case 0:
      case 1:
      case 2:
      case 3:
        return AddPart(static_cast<PartType>(control % 8 + 1), length, (control & 8) != 0);
      case 4:
        return Odd(std::string(length, '\xff'));
      case 5:
        return Odd(std::string(length, '\0'));
      case 6:
        only_tail_ = false;
        Odd(std::string(rest_.substr(0, length)));
        return rest_.remove_prefix(std::min(length, rest_.size()));
      default:
        only_tail_ = false;
        AddPart(kNobodyKnows, length, false);
    }
  }

  void AddPart(PartType type, size_t length, bool broken) {
    if (BlockLeft() < kPartHeader) bytes_.append(BlockLeft(), '\0');
    length = std::min(length, BlockLeft() - kPartHeader);
    std::string part(kPartHeader, '\0');
    part[4] = static_cast<char>(length);
    part[5] = static_cast<char>(length >> 8);
    part[6] = static_cast<char>(type);
    for (size_t i = 0; i < length; ++i) part.push_back(static_cast<char>(i * 7));
    uint32_t crc = MaskedCrc(std::as_bytes(std::span(part)).subspan(6));
    if (broken) crc ^= 1;
    std::memcpy(part.data(), &crc, sizeof(crc));
    bool goes_on = type == kMiddle || type == kLast;
    if (broken || type == kNobodyKnows || goes_on != within_) ended_ = true;
    // A record behind a broken one: what the disk kept of later writes, or damage.
    if (ended_ && !broken) only_tail_ = false;
    bytes_ += part;
    within_ = type == kFirst || type == kMiddle;
    if (!ended_ && !within_) good_ = bytes_.size();
  }

  void Odd(const std::string& piece) {
    // Less than a header at the end of a block is skipped, whatever it is.
    if (piece.size() > BlockLeft() || BlockLeft() >= kPartHeader) ended_ = ended_ || !piece.empty();
    bytes_ += piece;
  }

  std::string_view rest_;
  std::string bytes_;
  size_t good_ = 0;
  bool within_ = false;
  bool ended_ = false;
  bool only_tail_ = true;
};

void Store(Disk& disk, const std::string& path, const std::string& bytes) {
  auto file = disk.Open(path, Disk::Mode::kTruncate);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  FUZZ_REQUIRE(file && file->Write(0, {&part, 1}) == static_cast<ssize_t>(bytes.size()));
}

std::string Contents(Disk& disk, const std::string& path) {
  std::string bytes;
  FUZZ_REQUIRE(ReadWholeFile(disk, path, &bytes) == 0);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

// The first byte says whether it is a log or the list of tables.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  bool manifest = (data[0] & 1) != 0;
  Log log({reinterpret_cast<const char*>(data) + 1, size - 1});
  SimulatedDisk disk;
  disk.MakeDirectory("/meta");
  std::string path = manifest ? "/meta/MANIFEST-000001" : "/meta/000002.log";
  Store(disk, path, log.bytes());
  if (manifest) Store(disk, "/meta/CURRENT", "MANIFEST-000001\n");
  FUZZ_REQUIRE(CutLogTails(disk, "/meta").ok());
  std::string cut = Contents(disk, path);
  FUZZ_REQUIRE(cut.size() >= log.good() && log.bytes().starts_with(cut));
  if (log.only_tail()) FUZZ_REQUIRE(cut.size() == log.good());
  FUZZ_REQUIRE(CutLogTails(disk, "/meta").ok());
  FUZZ_REQUIRE(Contents(disk, path) == cut);
  return 0;
}
