#include "server/keys/vault_provider.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "server/keys/base64.h"
#include "server/keys/http.h"
#include "server/keys/told.h"

namespace tarn::keys {
namespace {

using Json = nlohmann::json;

constexpr size_t kTokenBytesMax = 8 << 10;
constexpr std::string_view kCiphertextPrefix = "vault:v";

SecretBytes Joined(std::string_view a, std::string_view b, std::string_view c = {}) {
  SecretBytes whole(a.size() + b.size() + c.size());
  char* to = reinterpret_cast<char*>(whole.bytes().data());
  for (std::string_view part : {a, b, c}) to = std::copy(part.begin(), part.end(), to);
  return whole;
}

// The version that a ciphertext names itself ("vault:v3:…"); 0: it is none.
uint64_t VersionOf(std::string_view ciphertext) {
  uint64_t version = 0;
  if (!ciphertext.starts_with(kCiphertextPrefix)) return 0;
  ciphertext.remove_prefix(kCiphertextPrefix.size());
  std::from_chars(ciphertext.data(), ciphertext.data() + ciphertext.size(), version);
  return version;
}

std::string VersionName(uint64_t version) {
  return "v" + std::to_string(version);
}

// 0: there is no such number.
uint64_t NumberOf(const Json& data, const char* name) {
  const auto found = data.find(name);
  return found != data.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

// What Vault says in {"errors": […]}; nullopt: the answer is not Vault's.
std::optional<std::string> ErrorsOf(const HttpAnswer& answer) {
  const Json json = Json::parse(answer.body.view(), nullptr, false);
  if (!json.is_object() || !json.contains("errors") || !json["errors"].is_array()) {
    return std::nullopt;
  }
  std::string all;
  for (const Json& error : json["errors"]) {
    if (!error.is_string()) continue;
    if (!all.empty()) all += "; ";
    all += error.get_ref<const std::string&>();
  }
  return Told(all);
}

class VaultProvider : public KeyProvider {
 public:
  explicit VaultProvider(VaultPlace place) : at_(std::move(place)) {}

  Result<Wrapped> Wrap(const SecretBytes& secret, const Call& call) override {
    // With a generous policy, encrypting under a key that is not there would make it.
    TRY(ReadKey(call));
    const SecretBytes plaintext = EncodeBase64(secret.view());
    TRY(Json data, Post("encrypt", Joined(R"({"plaintext":")", plaintext.view(), "\"}"), call));
    return WrappedOf(data);
  }

  Result<SecretBytes> Unwrap(const Wrapped& wrapped, const Call& call) override {
    TRY(Json data, PostCiphertext("decrypt", wrapped, call));
    const auto found = data.find("plaintext");
    if (found == data.end() || !found->is_string()) return Nonsense("decrypt gave no plaintext");
    auto& text = found->get_ref<std::string&>();
    auto secret = DecodeBase64(text);
    WipeBytes(text.data(), text.size());
    if (!secret) return Nonsense("decrypt gave what is no base64");
    return std::move(*secret);
  }

  Result<std::string> Check(const Call& call) override {
    TRY(KeyInfo info, ReadKey(call));
    return VersionName(info.latest);
  }

  Result<Wrapped> Rewrap(const Wrapped& wrapped, const Call& call) override {
    TRY(Json data, PostCiphertext("rewrap", wrapped, call));
    return WrappedOf(data);
  }

  std::string Place() const override {
    return "vault-transit:" + at_.base + "/" + at_.mount + "/keys/" + at_.key;
  }

 private:
  struct KeyInfo {
    uint64_t latest = 0;
    uint64_t oldest_usable = 0;
  };

  Error Nonsense(const std::string& what) const {
    return Error(Code::kUnavailable, Place() + ": " + what);
  }

  Result<Wrapped> WrappedOf(const Json& data) const {
    const auto found = data.find("ciphertext");
    if (found == data.end() || !found->is_string()) return Nonsense("it gave no ciphertext");
    Wrapped wrapped;
    wrapped.ciphertext = found->get<std::string>();
    const uint64_t version = VersionOf(wrapped.ciphertext);
    if (version == 0 || wrapped.ciphertext.size() > kCiphertextBytesMax) {
      return Nonsense("its ciphertext is none of Transit");
    }
    wrapped.version = VersionName(version);
    return wrapped;
  }

  Result<SecretBytes> Token() const {
    const int fd = open(at_.token_file.c_str(), O_RDONLY | O_CLOEXEC);
    const int failed = errno;
    if (fd < 0) return Nonsense(at_.token_file + ": " + std::strerror(failed));
    SecretBytes room(kTokenBytesMax);
    const ssize_t got = read(fd, room.bytes().data(), room.size());
    close(fd);
    std::string_view token = room.view().substr(0, static_cast<size_t>(std::max<ssize_t>(got, 0)));
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.remove_suffix(1);
    const bool plain =
        std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (token.empty() || !plain) return Nonsense(at_.token_file + " holds no token");
    return SecretBytes(token);
  }

  // One request; a refused token is read again once, since it may just have been renewed.
  Result<HttpAnswer> Ask(const std::string& path, const SecretBytes& body, const Call& call) const {
    TRY(SecretBytes token, Token());
    for (bool again = false;; again = true) {
      HttpRequest request;
      request.url = at_.base + "/v1/" + at_.mount + "/" + path + "/" + at_.key;
      request.ca_file = at_.ca_file;
      request.headers.push_back(Joined("X-Vault-Token: ", token.view()));
      request.headers.emplace_back("X-Vault-Request: true");
      request.headers.emplace_back("Content-Type: application/json");
      if (!at_.vault_namespace.empty()) {
        request.headers.push_back(Joined("X-Vault-Namespace: ", at_.vault_namespace));
      }
      request.body = body.Copy();
      auto answer = AskHttp(request, call);
      if (!answer.ok()) return Error(answer.code(), Place() + ": " + answer.error().message());
      if (answer->status != 403 || again) return answer;
      TRY(SecretBytes now, Token());
      if (now.Equals(token.view())) return answer;
      token = std::move(now);
    }
  }

  // The "data" of a good answer. 400 is kInvalid here.
  Result<Json> DataOf(const HttpAnswer& answer) const {
    if (answer.status == 200) {
      Json json = Json::parse(answer.body.view(), nullptr, false);
      if (!json.is_object() || !json.contains("data") || !json["data"].is_object()) {
        return Nonsense("its answer is not Vault's");
      }
      return std::move(json["data"]);
    }
    const auto errors = ErrorsOf(answer);
    const std::string text =
        Place() + ": HTTP " + std::to_string(answer.status) + " " + errors.value_or("");
    if (!errors) return Error(Code::kUnavailable, text + "(not from Vault)");
    if (answer.status == 404) return Error(Code::kNotFound, text + "(there is no such key)");
    if (answer.status == 403) return Error(Code::kDenied, text);
    if (answer.status == 400) return Error(Code::kInvalid, text);
    return Error(Code::kUnavailable, text);
  }

  Result<KeyInfo> ReadKey(const Call& call) const {
    TRY(HttpAnswer answer, Ask("keys", SecretBytes(), call));
    auto data = DataOf(answer);
    if (!data.ok() && data.code() == Code::kInvalid) return Nonsense(data.error().message());
    TRY(Json found, std::move(data));
    KeyInfo info;
    info.latest = NumberOf(found, "latest_version");
    info.oldest_usable = NumberOf(found, "min_decryption_version");
    if (info.latest == 0) return Nonsense("the key has no version");
    return info;
  }

  Result<Json> Post(const char* path, const SecretBytes& body, const Call& call) const {
    TRY(HttpAnswer answer, Ask(path, body, call));
    auto data = DataOf(answer);
    if (!data.ok() && data.code() == Code::kInvalid) return Nonsense(data.error().message());
    return data;
  }

  // Vault answers 400 to a ciphertext that it cannot use, whatever the reason.
  Result<Json> PostCiphertext(const char* path, const Wrapped& wrapped, const Call& call) const {
    const uint64_t version = VersionOf(wrapped.ciphertext);
    if (version == 0 || wrapped.ciphertext.find_first_of("\"\\") != std::string::npos) {
      return Error(Code::kCorrupt, Place() + ": the stored blob is none of Transit");
    }
    TRY(HttpAnswer answer,
        Ask(path, Joined(R"({"ciphertext":")", wrapped.ciphertext, "\"}"), call));
    auto data = DataOf(answer);
    if (data.ok() || data.code() != Code::kInvalid) return data;
    TRY(KeyInfo info, ReadKey(call));
    if (version < info.oldest_usable) {
      return Error(Code::kDenied, Place() + ": version " + VersionName(version) +
                                      " of the key is below its min_decryption_version");
    }
    return Error(Code::kCorrupt, data.error().message());
  }

  const VaultPlace at_;
};

bool IsLoopback(std::string_view authority) {
  const std::string_view host = authority.substr(0, authority.rfind(':'));
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

// What may stand in the path of a URL as it is.
bool IsPlainPath(std::string_view text) {
  return !text.empty() && text.find("//") == std::string_view::npos &&
         text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
                  c == '/';
         });
}

Result<void> TakeOption(std::string_view option, VaultPlace& place) {
  const size_t equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  const std::string value(equals == std::string_view::npos ? "" : option.substr(equals + 1));
  if (name == "token-file") {
    place.token_file = value;
  } else if (name == "ca-file") {
    place.ca_file = value;
  } else if (name == "namespace") {
    place.vault_namespace = value;
  } else {
    return Error(Code::kInvalid, "there is no option '" + std::string(name) +
                                     "': use token-file, ca-file and namespace");
  }
  const bool is_file = name != "namespace";
  if (is_file ? !value.starts_with('/') : !IsPlainPath(value)) {
    return Error(Code::kInvalid,
                 std::string(name) + (is_file ? " must be an absolute path" : " is no namespace"));
  }
  return Ok();
}

}  // namespace

Result<VaultPlace> ParseVaultPlace(const std::string& uri) {
  const auto invalid = [&uri](const std::string& why) {
    return Error(Code::kInvalid, "'vault-transit:" + uri + "': " + why);
  };
  VaultPlace place;
  const size_t question = uri.find('?');
  const std::string_view whole = std::string_view(uri).substr(0, question);
  const size_t scheme = whole.find("://");
  const size_t slash = scheme == std::string_view::npos ? scheme : whole.find('/', scheme + 3);
  if (slash == std::string_view::npos) {
    return invalid("write https://HOST:PORT/MOUNT/keys/NAME?token-file=FILE");
  }
  place.base = whole.substr(0, slash);
  const std::string_view authority = whole.substr(scheme + 3, slash - scheme - 3);
  const bool plain_http = place.base.starts_with("http://");
  if (!plain_http && !place.base.starts_with("https://")) return invalid("write https://");
  if (plain_http && !IsLoopback(authority)) {
    return invalid("http:// is for an agent on a loopback address only: write https://");
  }
  if (authority.empty() || authority.find('@') != std::string_view::npos) {
    return invalid("name a host, without a user: the token comes from token-file");
  }
  const std::string_view path = whole.substr(slash + 1);
  const size_t keys = path.rfind("/keys/");
  if (keys == std::string_view::npos) return invalid("the path must end with /keys/NAME");
  place.mount = path.substr(0, keys);
  place.key = path.substr(keys + 6);
  if (!IsPlainPath(place.mount) || !IsPlainPath(place.key) ||
      place.key.find('/') != std::string::npos) {
    return invalid("the mount and the key's name have letters, digits, '-', '_' and '.' only");
  }
  std::string_view options =
      question == std::string::npos ? "" : std::string_view(uri).substr(question + 1);
  while (!options.empty()) {
    const size_t end = std::min(options.find('&'), options.size());
    if (auto taken = TakeOption(options.substr(0, end), place); !taken.ok()) {
      return invalid(taken.error().message());
    }
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  if (place.token_file.empty()) return invalid("token-file is missing: ?token-file=/FILE");
  return place;
}

Result<std::unique_ptr<KeyProvider>> OpenVaultProvider(const std::string& uri) {
  TRY(VaultPlace place, ParseVaultPlace(uri));
  return std::unique_ptr<KeyProvider>(std::make_unique<VaultProvider>(std::move(place)));
}

}  // namespace tarn::keys
