// The bytes of a file, as the model has them, and what a crash may make of them.
//
// Data is written in units of kUnitBytes. What was written unstable may be gone after a crash, byte
// by byte and in any order: each unit has its former contents since it was last stable, and the
// file its former sizes.
//
// The same is so after a failure of the disk, which the server tells by another write verifier.
// What was written under one verifier is stable by a COMMIT under the same one; after it has
// changed, even reads may give what was there before, until the client has written anew.
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
  using Epoch = uint64_t;              // counts write verifiers
  static constexpr Epoch kFailed = 0;  // of a write that was an error: no COMMIT is for it
  // Of one that a killed process left to the system: it is seen, and a cut of power may take it.
  static constexpr Epoch kLeft = ~Epoch{0};
  uint64_t bytes() const { return size_; }
  // `stable`: at once. Else under a verifier.
  void Write(uint64_t first, uint64_t count, const std::string& unit, bool stable, Epoch epoch);
  // A write that took so many bytes only. An error ended it: behind them, each byte that the file
  // already had may be the old one or the new one.
  void WritePart(uint64_t first, uint64_t count, uint64_t bytes, const std::string& unit,
                 bool stable, Epoch epoch);
  void Resize(uint64_t units);  // stable at once, as SETATTR is
  void Commit(Epoch epoch);
  // An error of the disk left the file with so many bytes. False: that cannot be.
  bool AdoptSize(uint64_t bytes);
  // Is that what READ must give?
  bool Matches(uint64_t offset, const Bytes& data, Epoch now) const;
  bool SameAs(const Content& other) const;
  // Has a failure of the disk left it open what is there?
  bool Unsure(Epoch now) const;
  uint64_t ReadableAt(uint64_t offset, uint64_t count) const;  // bytes
  // After a crash: may it have left a file of so many bytes, and the units that `read` gives? Then
  // that is the content from now on; it is `durable` after a cut of power.
  using Reader = std::function<std::string(uint64_t unit)>;
  // `lost`: it is not what it was before.
  bool AdoptAfterCrash(uint64_t bytes, const Reader& read, bool durable, bool& lost);

 private:
  using Unit = std::shared_ptr<const std::string>;  // null: zeros
  static char At(const Unit& unit, uint64_t at) { return unit ? (*unit)[at] : '\0'; }
  const Unit* Find(uint64_t unit) const;
  // May the unit have this byte there after a crash?
  bool MayBe(uint64_t unit, uint64_t at, char is) const;

  struct Former {
    std::vector<Unit> contents;
    Epoch epoch = 0;  // of the last write
    bool Unsure(Epoch now) const { return epoch != now && epoch != kLeft; }
  };

  uint64_t size_ = 0;  // bytes
  std::map<uint64_t, Unit> units_;
  std::map<uint64_t, Former> former_;
  std::set<uint64_t> former_sizes_;
};

}  // namespace tarn::sim
