#include <gcrypt.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "common/crypto/xts.h"

namespace tarn {
namespace {

struct CloseCipher {
  void operator()(gcry_cipher_hd_t cipher) const { gcry_cipher_close(cipher); }
};
using Cipher = std::unique_ptr<std::remove_pointer_t<gcry_cipher_hd_t>, CloseCipher>;

Error Failed(gcry_error_t error) {
  return Error(Code::kInternal, std::string("AES-256-XTS: ") + gcry_strerror(error));
}

// Once in a process, and not where somebody else did it. Its locked memory is not used: our keys
// are in ordinary memory, too, and are wiped.
bool Initialize() {
  if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P) != 0) return true;
  if (gcry_check_version(nullptr) == nullptr) return false;
  gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  return true;
}

class GcryptXts : public Xts {
 public:
  GcryptXts(Cipher cipher, bool encrypt) : cipher_(std::move(cipher)), encrypt_(encrypt) {}

  Result<void> Run(const Tweak& tweak, const std::byte* block, std::byte* out) override {
    gcry_error_t error = gcry_cipher_setiv(cipher_.get(), tweak.data(), tweak.size());
    if (error != 0) return Failed(error);
    const bool in_place = block == out;
    const void* from = in_place ? nullptr : block;
    const size_t bytes = in_place ? 0 : kBlockBytes;
    error = encrypt_ ? gcry_cipher_encrypt(cipher_.get(), out, kBlockBytes, from, bytes)
                     : gcry_cipher_decrypt(cipher_.get(), out, kBlockBytes, from, bytes);
    if (error != 0) return Failed(error);
    return Ok();
  }

 private:
  Cipher cipher_;
  const bool encrypt_;
};

}  // namespace

bool GcryptIsFaster() {
  static const bool faster = [] {
    if (!Initialize()) return false;
    std::unique_ptr<char, decltype(&gcry_free)> features(gcry_get_config(0, "hwflist"), gcry_free);
    // "hwflist:intel-aesni:...:", also on processors of others.
    return features &&
           std::string_view(features.get()).find(":intel-vaes-vpclmul:") != std::string_view::npos;
  }();
  return faster;
}

Result<std::unique_ptr<Xts>> NewGcryptXts(const SecretBytes& key, bool encrypt) {
  gcry_cipher_hd_t opened = nullptr;
  gcry_error_t error = gcry_cipher_open(&opened, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0);
  if (error != 0) return Failed(error);
  Cipher cipher(opened);
  error = gcry_cipher_setkey(cipher.get(), key.view().data(), key.view().size());
  if (error != 0) return Failed(error);
  return std::unique_ptr<Xts>(std::make_unique<GcryptXts>(std::move(cipher), encrypt));
}

}  // namespace tarn
