// Attributes: what a client sets, and what it may ask for.
#include "common/fuzz.h"
#include "server/nfs4/attributes.h"

using namespace tarn;        // NOLINT(google-build-using-namespace)
using namespace tarn::nfs4;  // NOLINT(google-build-using-namespace)

// The first byte is the minor version, the rest a fattr4.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  uint32_t minor = data[0] % 3;
  xdr::Decoder from(std::as_bytes(std::span(data, size)).subspan(1));
  fattr4 sent;
  if (!Decode(from, sent)) return 0;
  vfs::AttributeChange change;
  nfsstat4 status = DecodeAttributeChange(sent, minor, SetBy::kCreation, change);
  if (status == NFS4_OK) FUZZ_REQUIRE(sent.attrmask.In(SupportedAttributes(minor)));
  Export exported;
  vfs::Attributes file;
  vfs::SpaceInfo space;
  std::array<std::byte, 40> handle{};
  xdr::Encoder to;
  EncodeAttributes(to, sent.attrmask,
                   {.exported = exported,
                    .file = file,
                    .handle = handle,
                    .lease_seconds = 30,
                    .minor = minor,
                    .space = &space});
  std::vector<std::byte> bytes = to.Flatten();
  xdr::Decoder back(bytes);
  fattr4 given;
  FUZZ_REQUIRE(Decode(back, given) && back.remaining() == 0);
  FUZZ_REQUIRE(given.attrmask.In(SupportedAttributes(minor)));
  std::string text(reinterpret_cast<const char*>(data), size);
  ParseOwner(text);
  return 0;
}
