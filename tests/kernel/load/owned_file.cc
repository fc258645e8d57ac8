#include "tests/kernel/load/owned_file.h"

#include <algorithm>
#include <cstddef>

namespace tarn::load {

void OwnedFile::Put(std::string_view data, uint64_t at) {
  if (bytes.size() < at + data.size()) bytes.resize(at + data.size());
  std::copy(data.begin(), data.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
}

void OwnedFile::Clear(uint64_t at, uint64_t count) {
  if (at >= bytes.size()) return;
  count = std::min<uint64_t>(count, bytes.size() - at);
  std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at), count, '\0');
}

}  // namespace tarn::load
