// File handles: nothing but what Seal made is opened, and that is what it was made of.
#include <algorithm>

#include "common/fuzz.h"
#include "server/nfs4/handle.h"

using namespace tarn;        // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4;  // NOLINT(google-build-using-namespace)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const HandleCodec codec(HandleKey{std::byte{1}, std::byte{2}});
  xdr::Opaque bytes = std::as_bytes(std::span(data, size));
  if (auto fields = codec.Open(bytes)) {
    HandleBytes again = codec.Seal(*fields);
    FUZZ_REQUIRE(std::ranges::equal(again, bytes));
  }
  // A good handle, some bits of which are turned.
  HandleFields good{.file_system = 1, .export_number = size, .file = {.inode = 7, .generation = 3}};
  HandleBytes sealed = codec.Seal(good);
  bool same = true;
  for (size_t i = 0; i < std::min(size, sealed.size()); ++i) {
    sealed[i] ^= static_cast<std::byte>(data[i]);
    same = same && data[i] == 0;
  }
  auto opened = codec.Open(sealed);
  FUZZ_REQUIRE(opened.has_value() == same);
  FUZZ_REQUIRE(!opened || *opened == good);
  return 0;
}
