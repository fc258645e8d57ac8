// What the files of this folder share of OpenSSL.
#pragma once

#include <openssl/evp.h>

#include <memory>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"

namespace tarn {

struct FreeCipherContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext>;

// What OpenSSL last complained about in this thread: kInternal. Empties its queue of errors.
Error OpenSslError(const char* what);

// kInvalid: the key is longer or shorter.
Result<void> CheckKeySize(const SecretBytes& key, size_t bytes);

}  // namespace tarn
