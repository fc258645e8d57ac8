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

void Content::Write(uint64_t first, uint64_t count, const std::string& unit, bool stable,
                    Epoch epoch) {
  auto shared = std::make_shared<const std::string>(unit);
  for (uint64_t at = first; at < first + count; ++at) {
    if (stable) {
      former_.erase(at);
    } else {
      const Unit* before = Find(at);
      Former& former = former_[at];
      former.contents.push_back(before == nullptr ? nullptr : *before);
      former.epoch = epoch;
    }
    units_[at] = shared;
  }
  uint64_t end = (first + count) * kUnitBytes;
  if (stable) {
    std::erase_if(former_sizes_, [&](uint64_t size) { return size < end; });
  } else if (end > size_) {
    former_sizes_.insert(size_);
  }
  size_ = std::max(size_, end);
}

void Content::WritePart(uint64_t first, uint64_t count, uint64_t bytes, const std::string& unit,
                        bool stable, Epoch epoch) {
  uint64_t whole = bytes / kUnitBytes;
  if (whole > 0) Write(first, whole, unit, stable, epoch);
  uint64_t size = std::max(size_, first * kUnitBytes + bytes);
  uint64_t after = std::min(first + count, (size + kUnitBytes - 1) / kUnitBytes);
  if (after > first + whole) Write(first + whole, after - first - whole, unit, false, kFailed);
  size_ = size;
}

void Content::Resize(uint64_t units) {
  units_.erase(units_.lower_bound(units), units_.end());
  former_.erase(former_.lower_bound(units), former_.end());
  former_sizes_.clear();
  size_ = units * kUnitBytes;
}

void Content::Commit(Epoch epoch) {
  std::erase_if(former_, [&](const auto& one) { return one.second.epoch == epoch; });
  former_sizes_.clear();
}

bool Content::AdoptSize(uint64_t bytes) {
  uint64_t least = size_;
  for (uint64_t size : former_sizes_) least = std::min(least, size);
  if (bytes < least || bytes > size_) return false;
  former_sizes_.insert(size_);
  size_ = bytes;
  return true;
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

bool Content::Unsure(Epoch now) const {
  return std::any_of(former_.begin(), former_.end(),
                     [&](const auto& one) { return one.second.Unsure(now); });
}

uint64_t Content::ReadableAt(uint64_t offset, uint64_t count) const {
  return offset >= bytes() ? 0 : std::min(count, bytes() - offset);
}

bool Content::Matches(uint64_t offset, const Bytes& data, Epoch now) const {
  for (uint64_t at = 0; at < data.size(); ++at) {
    uint64_t number = (offset + at) / kUnitBytes;
    uint64_t within = (offset + at) % kUnitBytes;
    const Unit* unit = Find(number);
    char is = static_cast<char>(data[at]);
    if (is == (unit == nullptr ? '\0' : At(*unit, within))) continue;
    auto former = former_.find(number);
    bool unsure = former != former_.end() && former->second.Unsure(now);
    if (!unsure || !MayBe(number, within, is)) return false;
  }
  return true;
}

bool Content::MayBe(uint64_t unit, uint64_t at, char is) const {
  const Unit* now = Find(unit);
  if (is == (now == nullptr ? '\0' : At(*now, at))) return true;
  auto before = former_.find(unit);
  if (before == former_.end()) return false;
  const auto& contents = before->second.contents;
  return std::any_of(contents.begin(), contents.end(),
                     [&](const Unit& former) { return is == At(former, at); });
}

bool Content::AdoptAfterCrash(uint64_t bytes, const Reader& read, bool durable, bool& lost) {
  if (bytes != size_ && !former_sizes_.contains(bytes)) return false;
  uint64_t units = (bytes + kUnitBytes - 1) / kUnitBytes;
  static const std::string kZeros(kUnitBytes, '\0');
  lost = bytes != size_;
  std::set<uint64_t> written;
  for (const auto& [unit, now] : units_) written.insert(unit);
  for (const auto& [unit, before] : former_) written.insert(unit);
  written.erase(written.lower_bound(units), written.end());
  for (uint64_t unit = 0; unit < std::min(units, kUnitsCompared); ++unit) written.insert(unit);
  std::map<uint64_t, Unit> found;
  for (uint64_t unit : written) {
    std::string is = read(unit);
    if (is.size() != std::min(kUnitBytes, bytes - unit * kUnitBytes)) return false;
    for (uint64_t at = 0; at < is.size(); ++at) {
      if (!MayBe(unit, at, is[at])) return false;
    }
    is.resize(kUnitBytes);
    const Unit* now = Find(unit);
    auto former = former_.find(unit);
    if (former != former_.end() && now != nullptr) former->second.contents.push_back(*now);
    lost = lost || is != (now == nullptr || !*now ? kZeros : **now);
    if (is.find_first_not_of('\0') != std::string::npos) {
      found[unit] = std::make_shared<const std::string>(std::move(is));
    }
  }
  units_ = std::move(found);
  if (durable) former_.clear();
  former_.erase(former_.lower_bound(units), former_.end());
  for (auto& [unit, former] : former_) former.epoch = kLeft;
  former_sizes_.clear();
  size_ = bytes;
  return true;
}

}  // namespace tarn::sim
