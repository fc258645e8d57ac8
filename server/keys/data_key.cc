#include "server/keys/data_key.h"

#include <algorithm>

#include "common/text.h"
#include "server/keys/wrapped_key.pb.h"

namespace tarn::keys {
namespace {

// What is wrapped: version (1 byte) | data key (32) | the first bytes of SHA-256 over the file
// system's id, as hex digits (32). A provider guards the whole against changes.
constexpr char kFormat = 1;
constexpr size_t kBindingBytes = 32;
constexpr size_t kPayloadBytes = 1 + kDataKeyBytes + kBindingBytes;

std::string Binding(std::string_view file_system) {
  return Sha256Hex("tarn data key of " + std::string(file_system)).substr(0, kBindingBytes);
}

Result<std::string> Stored(const Wrapped& wrapped) {
  size_t annotations = 0;
  records::WrappedKey record;
  record.set_version(wrapped.version);
  record.set_ciphertext(wrapped.ciphertext);
  for (const auto& [key, value] : wrapped.annotations) {
    (*record.mutable_annotations())[key] = value;
    annotations += key.size() + value.size();
  }
  if (wrapped.version.empty() || wrapped.version.size() > kVersionBytesMax ||
      wrapped.ciphertext.size() > kCiphertextBytesMax || annotations > kAnnotationsBytesMax) {
    return Error(Code::kUnavailable, "the key provider's answer is too long to be stored");
  }
  return record.SerializeAsString();
}

Result<Wrapped> Loaded(std::string_view blob) {
  records::WrappedKey record;
  if (!record.ParseFromArray(blob.data(), static_cast<int>(blob.size())) ||
      record.ciphertext().empty()) {
    return Error(Code::kCorrupt, "the stored data key is no wrapped key");
  }
  Wrapped wrapped{
      .version = record.version(), .ciphertext = record.ciphertext(), .annotations = {}};
  for (const auto& [key, value] : record.annotations()) wrapped.annotations[key] = value;
  return wrapped;
}

}  // namespace

Result<SecretBytes> MakeDataKey() {
  return RandomSecret(kDataKeyBytes);
}

Result<std::string> WrapDataKey(KeyProvider& provider, std::string_view file_system,
                                const SecretBytes& data_key, const Call& call) {
  if (data_key.size() != kDataKeyBytes) return Error(Code::kInternal, "a data key has 32 bytes");
  SecretBytes payload(kPayloadBytes);
  char* to = reinterpret_cast<char*>(payload.bytes().data());
  *to++ = kFormat;
  to = std::copy_n(data_key.view().data(), kDataKeyBytes, to);
  std::copy_n(Binding(file_system).data(), kBindingBytes, to);
  TRY(Wrapped wrapped, provider.Wrap(payload, call));
  return Stored(wrapped);
}

Result<SecretBytes> UnwrapDataKey(KeyProvider& provider, std::string_view file_system,
                                  std::string_view blob, const Call& call) {
  TRY(Wrapped wrapped, Loaded(blob));
  TRY(SecretBytes payload, provider.Unwrap(wrapped, call));
  const std::string_view view = payload.view();
  if (view.size() != kPayloadBytes || view.front() != kFormat) {
    // Nonsense of the provider's says nothing of the key.
    return Error(Code::kUnavailable, provider.Place() + " unwrapped what is no data key");
  }
  if (view.substr(1 + kDataKeyBytes) != Binding(file_system)) {
    return Error(Code::kCorrupt, "the stored data key is another file system's, not that of " +
                                     std::string(file_system));
  }
  return SecretBytes(view.substr(1, kDataKeyBytes));
}

Result<std::string> RewrapDataKey(KeyProvider& provider, std::string_view blob, const Call& call) {
  TRY(Wrapped wrapped, Loaded(blob));
  TRY(Wrapped again, provider.Rewrap(wrapped, call));
  return Stored(again);
}

Result<std::string> VersionOfBlob(std::string_view blob) {
  TRY(Wrapped wrapped, Loaded(blob));
  return std::move(wrapped.version);
}

}  // namespace tarn::keys
