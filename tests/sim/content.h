// The bytes of a file, as the model has them, and what a crash may make of them.
//
// Data is in units of kUnitBytes. What was written unstable may be gone after a crash, byte by byte
// and in any order: each unit has its former contents since it was last stable, and the file its
// former sizes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/op.h"

namespace tarn::sim {

class Content {
 public:
  uint64_t bytes() const { return size_ * kUnitBytes; }
  uint64_t units() const { return size_; }
  void Write(uint64_t first, uint64_t count, const std::string& unit, bool stable);
  void Resize(uint64_t units);  // stable at once, as SETATTR is
  void Commit();
  // Is that what READ must give?
  bool Matches(uint64_t offset, const Bytes& data) const;
  bool SameAs(const Content& other) const;
  uint64_t ReadableAt(uint64_t offset, uint64_t count) const;  // bytes
  // After a crash: may it have left a file of so many bytes, and the units that `read` gives? Then
  // that is the content from now on.
  using Reader = std::function<std::string(uint64_t unit)>;
  // `lost`: it is not what it was before.
  bool AdoptAfterCrash(uint64_t bytes, const Reader& read, bool& lost);

 private:
  using Unit = std::shared_ptr<const std::string>;  // null: zeros
  static char At(const Unit& unit, uint64_t at) { return unit ? (*unit)[at] : '\0'; }
  const Unit* Find(uint64_t unit) const;
  bool MayBe(uint64_t unit, const std::string& bytes) const;

  uint64_t size_ = 0;
  std::map<uint64_t, Unit> units_;
  std::map<uint64_t, std::vector<Unit>> former_;
  std::set<uint64_t> former_sizes_;
};

}  // namespace tarn::sim
