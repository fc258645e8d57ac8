#include "tests/sim/content.h"

#include <algorithm>

namespace tarn::sim {
namespace {

// Behind so many, only units that were written are compared: files are sparse there.
constexpr uint64_t kUnitsCompared = 64;

}  // namespace

const Content::Unit* Content::Find(uint64_t unit) const {
  auto found = units_.find(unit);
  return found == units_.end() ? nullptr : &found->second;
}

void Content::Write(uint64_t first, uint64_t count, const std::string& unit, bool stable) {
  auto shared = std::make_shared<const std::string>(unit);
  for (uint64_t at = first; at < first + count; ++at) {
    if (stable) {
      former_.erase(at);
    } else {
      const Unit* before = Find(at);
      former_[at].push_back(before == nullptr ? nullptr : *before);
    }
    units_[at] = shared;
  }
  uint64_t end = first + count;
  if (stable) {
    std::erase_if(former_sizes_, [&](uint64_t size) { return size < end; });
  } else if (end > size_) {
    former_sizes_.insert(size_);
  }
  size_ = std::max(size_, end);
}

void Content::Resize(uint64_t units) {
  units_.erase(units_.lower_bound(units), units_.end());
  former_.erase(former_.lower_bound(units), former_.end());
  former_sizes_.clear();
  size_ = units;
}

void Content::Commit() {
  former_.clear();
  former_sizes_.clear();
}

bool Content::SameAs(const Content& other) const {
  if (size_ != other.size_) return false;
  std::set<uint64_t> written;
  for (const auto& [unit, bytes] : units_) written.insert(unit);
  for (const auto& [unit, bytes] : other.units_) written.insert(unit);
  return std::all_of(written.begin(), written.end(), [&](uint64_t unit) {
    const Unit* mine = Find(unit);
    const Unit* theirs = other.Find(unit);
    for (uint64_t at = 0; at < kUnitBytes; ++at) {
      char is = mine == nullptr ? '\0' : At(*mine, at);
      if (is != (theirs == nullptr ? '\0' : At(*theirs, at))) return false;
    }
    return true;
  });
}

uint64_t Content::ReadableAt(uint64_t offset, uint64_t count) const {
  return offset >= bytes() ? 0 : std::min(count, bytes() - offset);
}

bool Content::Matches(uint64_t offset, const Bytes& data) const {
  for (uint64_t at = 0; at < data.size(); ++at) {
    const Unit* unit = Find((offset + at) / kUnitBytes);
    char expected = unit == nullptr ? '\0' : At(*unit, (offset + at) % kUnitBytes);
    if (static_cast<char>(data[at]) != expected) return false;
  }
  return true;
}

bool Content::MayBe(uint64_t unit, const std::string& bytes) const {
  if (bytes.size() != kUnitBytes) return false;
  const Unit* now = Find(unit);
  auto before = former_.find(unit);
  for (uint64_t at = 0; at < kUnitBytes; ++at) {
    char is = bytes[at];
    bool fine = is == (now == nullptr ? '\0' : At(*now, at));
    if (!fine && before != former_.end()) {
      fine = std::any_of(before->second.begin(), before->second.end(),
                         [&](const Unit& former) { return is == At(former, at); });
    }
    if (!fine) return false;
  }
  return true;
}

bool Content::AdoptAfterCrash(uint64_t bytes, const Reader& read, bool& lost) {
  uint64_t units = bytes / kUnitBytes;
  bool size_fine = bytes % kUnitBytes == 0 && (units == size_ || former_sizes_.contains(units));
  if (!size_fine) return false;
  static const std::string kZeros(kUnitBytes, '\0');
  lost = units != size_;
  std::set<uint64_t> written;
  for (const auto& [unit, now] : units_) written.insert(unit);
  for (const auto& [unit, before] : former_) written.insert(unit);
  written.erase(written.lower_bound(units), written.end());
  for (uint64_t unit = 0; unit < std::min(units, kUnitsCompared); ++unit) written.insert(unit);
  std::map<uint64_t, Unit> found;
  for (uint64_t unit : written) {
    std::string is = read(unit);
    if (!MayBe(unit, is)) return false;
    const Unit* now = Find(unit);
    lost = lost || is != (now == nullptr || !*now ? kZeros : **now);
    if (is.find_first_not_of('\0') != std::string::npos) {
      found[unit] = std::make_shared<const std::string>(std::move(is));
    }
  }
  units_ = std::move(found);
  Resize(units);
  return true;
}

}  // namespace tarn::sim
