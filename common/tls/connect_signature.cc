#include "common/tls/connect_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <cstdio>

#include "common/text.h"
#include "common/tls/openssl.h"

namespace tarn::tls {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kService = "elasticfilesystem";

// As in a query: letters, digits and "_.-~" as they are, a blank is "+".
std::string Quote(std::string_view text) {
  constexpr const char* kHex = "0123456789ABCDEF";
  std::string quoted;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '.' || c == '-' || c == '~';
    auto byte = static_cast<unsigned char>(c);
    if (plain) {
      quoted.push_back(c);
    } else if (c == ' ') {
      quoted.push_back('+');
    } else {
      quoted.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return quoted;
}

// "20261127" and "20261127T150405Z".
struct Moment {
  explicit Moment(std::chrono::sys_seconds at) {
    auto midnight = std::chrono::floor<std::chrono::days>(at);
    std::chrono::year_month_day date(midnight);
    std::chrono::hh_mm_ss time(at - midnight);
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%04d%02u%02u", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    day = text.data();
    std::snprintf(text.data(), text.size(), "T%02d%02d%02dZ",
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    whole = day + text.data();
  }
  std::string day, whole;
};

Result<SecretBytes> Hmac(const SecretBytes& key, std::string_view text) {
  SecretBytes out(SHA256_DIGEST_LENGTH);
  unsigned int size = 0;
  auto made = HMAC(EVP_sha256(), key.bytes().data(), static_cast<int>(key.size()),
                   reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                   reinterpret_cast<unsigned char*>(out.bytes().data()), &size);
  if (made == nullptr || size != out.size()) return Error(Code::kInternal, "HMAC failed");
  return out;
}

std::string CanonicalRequest(const SigV4Claim& claim, const ConnectSubject& about,
                             const std::string& scope, const Moment& moment) {
  const auto& hash = about.public_key.sha1;
  std::string text = "GET\n/\nAction=Connect&PublicKeyHash=";
  text.append(Hex({reinterpret_cast<const char*>(hash.data()), hash.size()}));
  text.append("&X-Amz-Algorithm=").append(kAlgorithm);
  text.append("&X-Amz-Credential=").append(Quote(claim.access_key_id + "/" + scope));
  text.append("&X-Amz-Date=").append(moment.whole).append("&X-Amz-Expires=86400");
  if (claim.session_token) {
    text.append("&X-Amz-Security-Token=").append(Quote(*claim.session_token));
  }
  text.append("&X-Amz-SignedHeaders=host\nhost:").append(about.file_system_id);
  return text.append("\nhost\n").append(Sha256Hex(""));
}

}  // namespace

Result<std::string> SignConnect(const SecretBytes& secret, const SigV4Claim& claim,
                                const ConnectSubject& about) {
  Moment moment(claim.date);
  std::string scope = moment.day;
  scope.append("/").append(about.region).append("/").append(kService).append("/aws4_request");
  std::string to_sign(kAlgorithm);
  to_sign.append("\n").append(moment.whole).append("\n").append(scope).append("\n");
  to_sign.append(Sha256Hex(CanonicalRequest(claim, about, scope, moment)));
  std::string first = "AWS4" + std::string(secret.view());
  SecretBytes key(first);
  WipeBytes(first.data(), first.size());
  for (std::string_view part :
       {std::string_view(moment.day), about.region, kService, std::string_view("aws4_request")}) {
    TRY(SecretBytes next, Hmac(key, part));
    key = std::move(next);
  }
  TRY(SecretBytes signature, Hmac(key, to_sign));
  return Hex(signature.view());
}

Result<PublicKeyHashes> HashPrivateKey(const std::string& key_pem) {
  TRY(std::string pem,
      MakeIdentityCertificate(key_pem, {.identity = {}, .now = std::chrono::system_clock::now()}));
  Owned<X509> certificate = ParseCertificate(pem);
  if (!certificate) return Error(Code::kInternal, "cannot read a certificate that was just made");
  TRY(ParsedCertificate parsed, ReadIdentityCertificate(*certificate));
  return parsed.public_key;
}

}  // namespace tarn::tls
