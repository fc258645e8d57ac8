#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "common/crypto/block_cipher.h"
#include "common/crypto/sealer.h"
#include "common/crypto/secret_bytes.h"
#include "common/crypto/xts.h"
#include "common/text.h"

namespace tarn {
namespace {

std::string FromHex(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string Shake128(std::string_view input, size_t bytes) {
  std::string out(bytes, '\0');
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EXPECT_EQ(EVP_DigestInit_ex(context, EVP_shake128(), nullptr), 1);
  EXPECT_EQ(EVP_DigestUpdate(context, input.data(), input.size()), 1);
  EXPECT_EQ(EVP_DigestFinalXOF(context, reinterpret_cast<unsigned char*>(out.data()), bytes), 1);
  EVP_MD_CTX_free(context);
  return out;
}

std::string Encrypt(const Xaes256Gcm& cipher, std::string_view nonce, std::string_view plain,
                    std::string_view associated) {
  std::string out(plain.size() + Xaes256Gcm::kTagBytes, '\0');
  EXPECT_TRUE(cipher.Encrypt(nonce.data(), plain, associated, out.data()).ok());
  return out;
}

TEST(SecretBytes, IsWipedAndMovedAndComparedWhole) {
  SecretBytes secret("correct horse");
  EXPECT_TRUE(secret.Equals("correct horse"));
  EXPECT_FALSE(secret.Equals("correct hors"));
  EXPECT_FALSE(secret.Equals("correct horsf"));
  SecretBytes moved = std::move(secret);
  EXPECT_TRUE(secret.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_TRUE(moved.Copy().Equals("correct horse"));
  moved.Wipe();
  EXPECT_TRUE(moved.Equals(""));
  EXPECT_FALSE(std::is_copy_constructible_v<SecretBytes>);
}

TEST(SecretBytes, RandomOnesDiffer) {
  auto one = RandomSecret(32);
  auto other = RandomSecret(32);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->size(), 32u);
  EXPECT_FALSE(one->Equals(other->view()));
}

// RFC 5869, appendix A.1 and A.3.
TEST(DeriveKey, TestVectorsOfTheRfc) {
  SecretBytes key(std::string(22, '\x0b'));
  auto derived =
      DeriveKey(key, FromHex("000102030405060708090a0b0c"), FromHex("f0f1f2f3f4f5f6f7f8f9"), 42);
  ASSERT_TRUE(derived.ok()) << derived.error().ToString();
  EXPECT_EQ(Hex(derived->view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  derived = DeriveKey(key, "", "", 42);
  ASSERT_TRUE(derived.ok()) << derived.error().ToString();
  EXPECT_EQ(Hex(derived->view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  EXPECT_EQ(DeriveKey(SecretBytes(), "", "", 42).code(), Code::kInvalid);
  EXPECT_EQ(DeriveKey(key, "", "", 0).code(), Code::kInvalid);
  EXPECT_EQ(DeriveKey(key, "", "", 8161).code(), Code::kInvalid);
}

// The vectors of the specification: one for each value of the top bit of L.
TEST(Xaes256Gcm, TestVectorsOfTheSpecification) {
  constexpr std::string_view kNonce = "ABCDEFGHIJKLMNOPQRSTUVWX";
  auto one = Xaes256Gcm::Create(SecretBytes(std::string(32, '\x01')));
  auto three = Xaes256Gcm::Create(SecretBytes(std::string(32, '\x03')));
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ(Hex(Encrypt(**one, kNonce, "XAES-256-GCM", "")),
            "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
  EXPECT_EQ(Hex(Encrypt(**three, kNonce, "XAES-256-GCM", "c2sp.org/XAES-256-GCM")),
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

// The specification's accumulated test: inputs from one SHAKE-128, outputs into another.
TEST(Xaes256Gcm, TenThousandRandomMessages) {
  constexpr int kMessages = 10'000;
  std::string stream = Shake128("", kMessages * (32 + 24 + 2 + 2 * 255));
  std::string_view rest = stream;
  auto take = [&](size_t bytes) {
    std::string_view part = rest.substr(0, bytes);
    rest.remove_prefix(bytes);
    return part;
  };
  auto take_counted = [&] { return take(static_cast<uint8_t>(take(1)[0])); };
  std::string all;
  for (int i = 0; i < kMessages; ++i) {
    auto cipher = Xaes256Gcm::Create(SecretBytes(take(32)));
    ASSERT_TRUE(cipher.ok());
    std::string_view nonce = take(24);
    std::string_view plain = take_counted();
    std::string_view associated = take_counted();
    std::string sealed = Encrypt(**cipher, nonce, plain, associated);
    std::string opened(plain.size(), '\0');
    ASSERT_TRUE((*cipher)->Decrypt(nonce.data(), sealed, associated, opened.data()).ok());
    ASSERT_EQ(opened, plain);
    all += sealed;
  }
  EXPECT_EQ(Hex(Shake128(all, 32)),
            "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

TEST(Sealer, OpensOnlyWhatItSealedForThatPlace) {
  auto sealer = Sealer::Create(SecretBytes(std::string(32, 'k')));
  auto other = Sealer::Create(SecretBytes(std::string(32, 'K')));
  ASSERT_TRUE(sealer.ok() && other.ok());
  for (size_t bytes : {0, 1, 15, 16, 17, 4096, 70'000}) {
    std::string plain(bytes, 'p');
    auto sealed = (*sealer)->Seal(plain, "here");
    ASSERT_TRUE(sealed.ok());
    EXPECT_EQ(sealed->size(), bytes + Sealer::kOverheadBytes);
    EXPECT_TRUE(bytes < 15 || sealed->find(plain.substr(0, 15)) == std::string::npos);
    EXPECT_EQ((*sealer)->Open(*sealed, "here").value(), plain);
    EXPECT_EQ((*sealer)->Open(*sealed, "there").code(), Code::kCorrupt);
    EXPECT_EQ((*sealer)->Open(*sealed, "").code(), Code::kCorrupt);
    EXPECT_EQ((*other)->Open(*sealed, "here").code(), Code::kCorrupt);
  }
}

TEST(Sealer, NoticesEveryChangedByteAndEveryCut) {
  auto sealer = Sealer::Create(SecretBytes(std::string(32, 'k')));
  ASSERT_TRUE(sealer.ok());
  std::string sealed = (*sealer)->Seal("contents", "here").value();
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ((*sealer)->Open(changed, "here").code(), Code::kCorrupt) << i;
    EXPECT_EQ((*sealer)->Open(sealed.substr(0, i), "here").code(), Code::kCorrupt) << i;
  }
  EXPECT_EQ((*sealer)->Open(sealed + "x", "here").code(), Code::kCorrupt);
}

TEST(Sealer, TheSameRecordIsNeverSealedTheSame) {
  auto sealer = Sealer::Create(SecretBytes(std::string(32, 'k')));
  ASSERT_TRUE(sealer.ok());
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert((*sealer)->Seal("same", "place").value());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Sealer, AChildTakesNoNonceOfItsParents) {
  auto sealer = Sealer::Create(SecretBytes(std::string(32, 'k')));
  ASSERT_TRUE(sealer.ok());
  (void)(*sealer)->Seal("", "");  // has taken some for later
  int out[2];
  ASSERT_EQ(::pipe(out), 0);
  pid_t child = ::fork();
  if (child == 0) {
    std::string sealed = (*sealer)->Seal("", "").value();
    ::_exit(::write(out[1], sealed.data(), sealed.size()) > 0 ? 0 : 1);
  }
  std::string sealed = (*sealer)->Seal("", "").value();
  std::string childs(sealed.size(), '\0');
  EXPECT_EQ(::read(out[0], childs.data(), childs.size()), static_cast<ssize_t>(sealed.size()));
  EXPECT_NE(childs, sealed);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(out[0]);
  ::close(out[1]);
}

TEST(Sealer, RefusesKeysOfAnotherLength) {
  EXPECT_EQ(Sealer::Create(SecretBytes("short")).code(), Code::kInvalid);
  EXPECT_EQ(BlockCipher::Create(SecretBytes(std::string(32, 'k'))).code(), Code::kInvalid);
}

TEST(Sealer, ManyThreadsAtOnce) {
  auto sealer = Sealer::Create(SecretBytes(std::string(32, 'k')));
  ASSERT_TRUE(sealer.ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::string plain(100, static_cast<char>('a' + t));
      for (int i = 0; i < 500; ++i) {
        auto sealed = (*sealer)->Seal(plain, "x");
        ASSERT_TRUE(sealed.ok());
        ASSERT_EQ((*sealer)->Open(*sealed, "x").value(), plain);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

std::string BlockKey() {
  std::string key;
  for (int i = 0; i < 64; ++i) key.push_back(static_cast<char>(i * 7 + 1));
  return key;
}

// Against OpenSSL's XTS called plainly, with the tweak that IEEE 1619 writes for (block, object).
TEST(BlockCipher, IsXtsWithTheBlockAsTweak) {
  auto cipher = BlockCipher::Create(SecretBytes(BlockKey()));
  ASSERT_TRUE(cipher.ok()) << cipher.error().ToString();
  std::string plain(2 * BlockCipher::kBlockBytes, 'q');
  std::string sealed(plain.size(), '\0');
  auto* out = reinterpret_cast<std::byte*>(sealed.data());
  ASSERT_TRUE((*cipher)->Encrypt(0x1122, 0x33445566, std::as_bytes(std::span(plain)), out).ok());

  unsigned char tweak[16] = {0x67, 0x55, 0x44, 0x33, 0, 0, 0, 0, 0x22, 0x11};
  std::string expected(BlockCipher::kBlockBytes, '\0');
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  int written = 0;
  std::string key = BlockKey();
  auto bytes = [](std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); };
  ASSERT_EQ(EVP_EncryptInit_ex(context, EVP_aes_256_xts(), nullptr, bytes(key), tweak), 1);
  ASSERT_EQ(
      EVP_EncryptUpdate(context, bytes(expected), &written, bytes(plain), BlockCipher::kBlockBytes),
      1);
  EVP_CIPHER_CTX_free(context);
  EXPECT_EQ(sealed.substr(BlockCipher::kBlockBytes), expected);
  EXPECT_NE(sealed.substr(0, BlockCipher::kBlockBytes), expected);
}

TEST(BlockCipher, DecryptsInPlaceAndOnlyAtItsPlace) {
  auto cipher = BlockCipher::Create(SecretBytes(BlockKey()));
  ASSERT_TRUE(cipher.ok());
  std::string plain(3 * BlockCipher::kBlockBytes, 'q');
  auto run = [&](bool encrypt, uint64_t object, uint64_t first, std::string text) {
    auto span = std::as_writable_bytes(std::span(text));
    auto done = encrypt ? (*cipher)->Encrypt(object, first, span, span.data())
                        : (*cipher)->Decrypt(object, first, span, span.data());
    EXPECT_TRUE(done.ok());
    return text;
  };
  std::string sealed = run(true, 5, 10, plain);
  EXPECT_EQ(run(false, 5, 10, sealed), plain);
  EXPECT_NE(run(false, 5, 11, sealed), plain);
  EXPECT_NE(run(false, 6, 10, sealed), plain);
  std::string_view middle = std::string_view(sealed).substr(4096, 4096);
  EXPECT_EQ(run(false, 5, 11, std::string(middle)), plain.substr(0, 4096));
  std::byte odd[100];
  EXPECT_EQ((*cipher)->Encrypt(1, 1, odd, odd).code(), Code::kInvalid);
}

// IEEE 1619 by libgcrypt, beside OpenSSL: keys, tweaks, numbers of blocks, in place and not.
TEST(BlockCipher, BothLibrariesDoTheSame) {
  for (int i = 0; i < 200; ++i) {
    auto key = RandomSecret(BlockCipher::kKeyBytes);
    ASSERT_TRUE(key.ok());
    auto fast = BlockCipher::Create(*key);
    auto openssl = BlockCipher::Create(*key, BlockCipher::How::kOpenSsl);
    ASSERT_TRUE(fast.ok() && openssl.ok());
    EXPECT_EQ((*fast)->by_gcrypt(), GcryptIsFaster());
    EXPECT_FALSE((*openssl)->by_gcrypt());
    uint64_t place[2] = {};
    ASSERT_TRUE(FillRandom(std::as_writable_bytes(std::span(place))).ok());
    // Away from a boundary of what is loaded at once, too.
    std::vector<std::byte> plain(static_cast<size_t>(i % 35) * BlockCipher::kBlockBytes);
    ASSERT_TRUE(FillRandom(plain).ok());
    std::vector<std::byte> expected(plain.size());
    std::vector<std::byte> sealed(plain.size() + 64);
    std::byte* out = sealed.data() + i % 64;
    ASSERT_TRUE((*openssl)->Encrypt(place[0], place[1], plain, expected.data()).ok());
    ASSERT_TRUE((*fast)->Encrypt(place[0], place[1], plain, out).ok());
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out)) << i;
    ASSERT_TRUE((*fast)->Decrypt(place[0], place[1], {out, plain.size()}, out).ok());
    ASSERT_TRUE(std::equal(plain.begin(), plain.end(), out)) << i;
    ASSERT_TRUE((*fast)->Decrypt(place[0], place[1], expected, out).ok());
    ASSERT_TRUE(std::equal(plain.begin(), plain.end(), out)) << i;
  }
}

}  // namespace
}  // namespace tarn
