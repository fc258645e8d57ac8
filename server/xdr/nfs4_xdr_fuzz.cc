// What decodes as a message of NFS (api/nfs4.x) must encode to a message that decodes to the same.
#include "api/nfs4.h"
#include "common/fuzz.h"

using namespace tarn;        // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4;  // NOLINT(google-build-using-namespace)

namespace {

template <typename T>
void RoundTrip(xdr::Opaque bytes) {
  xdr::Decoder from(bytes);
  T value;
  if (!Decode(from, value)) return;
  xdr::Encoder to;
  Encode(to, value);
  std::vector<std::byte> again = to.Flatten();
  xdr::Decoder back(again);
  T second;
  FUZZ_REQUIRE(Decode(back, second) && back.remaining() == 0);
  xdr::Encoder to_again;
  Encode(to_again, second);
  FUZZ_REQUIRE(to_again.Flatten() == again);
  std::string text;
  Print(text, value);
  std::string second_text;
  Print(second_text, second);
  FUZZ_REQUIRE(text == second_text);
}

}  // namespace

// The first byte says which type the rest is.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  xdr::Opaque bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0]) {
    case 0:
      RoundTrip<COMPOUND4args>(bytes);
      break;
    case 1:
      RoundTrip<COMPOUND4res>(bytes);
      break;
    case 2:
      RoundTrip<CB_COMPOUND4args>(bytes);
      break;
    case 3:
      RoundTrip<CB_COMPOUND4res>(bytes);
      break;
    case 4:
      RoundTrip<fattr4>(bytes);
      break;
    default:
      break;
  }
  return 0;
}
