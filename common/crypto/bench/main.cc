// What one call of the ciphers costs: nanoseconds of the processor's time a call, and bytes of each
// of its seconds.
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "common/crypto/block_cipher.h"
#include "common/crypto/sealer.h"

namespace {

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <typename Call>
void Measure(const char* what, size_t bytes, const Call& call) {
  constexpr double kSeconds = 0.2;
  uint64_t calls = 0;
  double begin = ProcessorSeconds();
  double seconds = 0;
  while ((seconds = ProcessorSeconds() - begin) < kSeconds) {
    for (int i = 0; i < 64; ++i) call();
    calls += 64;
  }
  std::printf("%-28s %7zu bytes %9.0f ns %9.0f MB/s\n", what, bytes,
              seconds * 1e9 / static_cast<double>(calls),
              static_cast<double>(bytes * calls) / seconds / 1e6);
}

}  // namespace

int main() {
  auto sealer = tarn::Sealer::Create(tarn::SecretBytes(std::string(32, 'k')));
  std::string key(64, 'k');
  key[0] = 'j';
  using tarn::BlockCipher;
  auto blocks = BlockCipher::Create(tarn::SecretBytes(key));
  auto openssl = BlockCipher::Create(tarn::SecretBytes(key), BlockCipher::How::kOpenSsl);
  if (!sealer || !blocks || !openssl) return 1;
  std::string nonce(24, '\0');
  Measure("random nonce", nonce.size(),
          [&] { (void)tarn::FillRandom(std::as_writable_bytes(std::span(nonce))); });
  for (size_t bytes : {64, 200, 4096, 16384}) {
    std::string plain(bytes, 'p');
    std::string sealed = (*sealer)->Seal(plain, "twenty bytes of key..").value();
    Measure("seal", bytes, [&] { (void)(*sealer)->Seal(plain, "twenty bytes of key.."); });
    Measure("open", bytes, [&] { (void)(*sealer)->Open(sealed, "twenty bytes of key.."); });
  }
  for (size_t bytes : {4096, 131072, 1048576}) {
    std::vector<std::byte> buffer(bytes);
    Measure("encrypt blocks", bytes,
            [&] { (void)(*blocks)->Encrypt(1, 2, buffer, buffer.data()); });
    Measure("decrypt blocks", bytes,
            [&] { (void)(*blocks)->Decrypt(1, 2, buffer, buffer.data()); });
    Measure("decrypt blocks by OpenSSL", bytes,
            [&] { (void)(*openssl)->Decrypt(1, 2, buffer, buffer.data()); });
  }
  return 0;
}
