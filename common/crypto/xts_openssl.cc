#include "common/crypto/openssl.h"
#include "common/crypto/xts.h"

namespace tarn {
namespace {

class OpenSslXts : public Xts {
 public:
  OpenSslXts(CipherContext context, bool encrypt)
      : context_(std::move(context)), encrypt_(encrypt ? 1 : 0) {}

  Result<void> Run(const Tweak& tweak, const std::byte* block, std::byte* out) override {
    int written = 0;
    if (EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, tweak.data(), encrypt_) != 1 ||
        EVP_CipherUpdate(context_.get(), reinterpret_cast<unsigned char*>(out), &written,
                         reinterpret_cast<const unsigned char*>(block), kBlockBytes) != 1) {
      return OpenSslError("AES-256-XTS");
    }
    return Ok();
  }

 private:
  CipherContext context_;
  const int encrypt_;
};

}  // namespace

Result<std::unique_ptr<Xts>> NewOpenSslXts(const SecretBytes& key, bool encrypt) {
  CipherContext context(EVP_CIPHER_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(key.view().data());
  if (!context || EVP_CipherInit_ex(context.get(), EVP_aes_256_xts(), nullptr, bytes, nullptr,
                                    encrypt ? 1 : 0) != 1) {
    return OpenSslError("AES-256-XTS");
  }
  return std::unique_ptr<Xts>(std::make_unique<OpenSslXts>(std::move(context), encrypt));
}

}  // namespace tarn
