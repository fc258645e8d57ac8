#include "mount/carriage.h"

#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/ids.h"
#include "common/text.h"
#include "common/tls/connect_signature.h"
#include "common/version.h"
#include "csi/mount/nfs_mount.h"
#include "csi/registry.h"
#include "csi/volume_context.h"

namespace tarn::mount {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::sys_seconds;

constexpr size_t kIdDigits = 24;
constexpr int kRecordVersion = 1;
constexpr std::chrono::hours kUnrenewed{24};

// Parts of the certificate, and until when it is good.
struct Claims {
  tls::CertificateIdentity identity;
  seconds valid_for;
  bool by_token = false;  // with the same token a new one would end no later
};

Result<Claims> MakeClaims(const Carriage& carriage, const Credential& credential, seconds life,
                          sys_seconds now) {
  Claims claims{.identity = {}, .valid_for = life};
  auto& identity = claims.identity;
  identity.file_system_id = carriage.file_system_id;
  if (!carriage.access_point_id.empty()) identity.access_point_id = carriage.access_point_id;
  identity.client_info = tls::ClientInfo{"mount.tarn", kVersion};
  // Whoever renews certificates has not this environment: it has to be good for as long as a
  // signature is.
  if (carriage.identity.kind == IdentitySource::Kind::kEnvironment) claims.valid_for = kUnrenewed;
  if (credential.token.empty()) return claims;
  identity.token = std::string(credential.token.view());
  if (!credential.expires) return claims;
  auto left = *credential.expires - now;
  if (left <= seconds(0)) {
    return Error(Code::kUnauthenticated, carriage.identity.Describe() +
                                             " has expired: whoever writes the file must put a "
                                             "new one there");
  }
  if (left < claims.valid_for) claims.valid_for = left, claims.by_token = true;
  return claims;
}

Result<tls::SigV4Claim> Sign(const Carriage& carriage, const Credential& credential,
                             const std::string& key_pem, sys_seconds now) {
  tls::SigV4Claim claim{
      .access_key_id = credential.access_key_id, .signature = {}, .date = now, .session_token = {}};
  if (credential.session_token) claim.session_token = credential.session_token->view();
  TRY(tls::PublicKeyHashes hashes, tls::HashPrivateKey(key_pem));
  TRY(claim.signature, tls::SignConnect(credential.secret, claim,
                                        {.public_key = hashes,
                                         .file_system_id = carriage.file_system_id,
                                         .region = carriage.region}));
  return claim;
}

std::string Fingerprint(const csi::Tunnel::OpenRequest& request, const Credential& credential) {
  std::string all = request.server + '\0' + request.authority_pem + '\0' + credential.access_key_id;
  for (std::string_view part : {credential.token.view(), credential.secret.view()}) {
    all.append(1, '\0').append(part);
  }
  if (credential.session_token) all.append(1, '\0').append(credential.session_token->view());
  std::string hash = Sha256Hex(all);
  WipeBytes(all.data(), all.size());
  return hash;
}

Result<std::string> ReadAuthority(const std::string& file) {
  auto text = ReadSmallFile(file);
  if (text.ok() && !text->empty()) return text;
  return Error(Code::kUnavailable,
               "the certificates that may have signed file servers' are not at '" + file +
                   "': on a node of a cluster the CSI node plugin writes them there; elsewhere "
                   "copy ca.crt of the ConfigMap tarn-nfs-ca, and name it by \"cafile=FILE\" or in "
                   "/etc/tarn/mount.conf, 'authority'");
}

json PartsOf(const Carriage& carriage) {
  json parts = {{"version", kRecordVersion},
                {"fileSystemId", carriage.file_system_id},
                {"accessPointId", carriage.access_point_id},
                {"identity", static_cast<int>(carriage.identity.kind)},
                {"tokenFile", carriage.identity.token_file},
                {"profile", carriage.identity.profile},
                {"files", carriage.identity.files},
                {"region", carriage.region},
                {"mountTargetIp", carriage.mount_target_ip},
                {"host", carriage.host},
                {"zone", carriage.zone},
                {"authority", carriage.authority_file}};
  // Only where there is one: others keep the ids that they have.
  if (!carriage.identity.access_key.empty()) parts["accessKey"] = carriage.identity.access_key;
  return parts;
}

std::string TextOf(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string Carriage::ToText() const {
  json all = PartsOf(*this);
  if (!address.empty()) all["address"] = address;
  return TextOf(all);
}

std::string Carriage::Id() const {
  return "mount." + Sha256Hex(TextOf(PartsOf(*this))).substr(0, kIdDigits);
}

Result<Carriage> ParseCarriage(const std::string& text) {
  auto object = json::parse(text, nullptr, false);
  if (object.is_discarded()) return Error(Code::kInvalid, "it is no JSON");
  auto bad = [] {
    return Error(Code::kNotSupported, "it is no record of a mount of this version");
  };
  if (!object.is_object() || object.value("version", json()) != kRecordVersion) return bad();
  bool good = true;
  auto get = [&](const char* key) -> std::string {
    auto found = object.find(key);
    good = good && found != object.end() && found->is_string();
    return good ? found->get<std::string>() : "";
  };
  auto get_if_there = [&](const char* key) { return object.contains(key) ? get(key) : ""; };
  Carriage carriage;
  carriage.file_system_id = get("fileSystemId");
  carriage.access_point_id = get("accessPointId");
  carriage.identity.token_file = get("tokenFile");
  carriage.identity.profile = get("profile");
  carriage.region = get("region");
  carriage.mount_target_ip = get("mountTargetIp");
  carriage.host = get("host");
  carriage.zone = get("zone");
  carriage.authority_file = get("authority");
  carriage.identity.access_key = get_if_there("accessKey");
  carriage.address = get_if_there("address");
  auto kind = object.value("identity", json());
  good = good && kind.is_number_integer() && kind >= 0 &&
         kind <= static_cast<int>(IdentitySource::Kind::kEnvironment);
  for (const auto& file : object.value("files", json::array())) {
    good = good && file.is_string();
    if (good) carriage.identity.files.push_back(file.get<std::string>());
  }
  if (!good) return bad();
  carriage.identity.kind = static_cast<IdentitySource::Kind>(kind.get<int>());
  return carriage;
}

Carriage MakeCarriage(const Device& device, const Options& options, const IdentitySource& identity,
                      const Config& config) {
  auto first = [](const std::string& a, const std::string& b) { return a.empty() ? b : a; };
  Carriage carriage;
  carriage.file_system_id = device.file_system_id;
  carriage.access_point_id = options.access_point_id;
  carriage.identity = identity;
  carriage.region = first(options.region, first(device.region, config.region));
  carriage.mount_target_ip = options.mount_target_ip;
  carriage.host = device.host;
  carriage.zone = first(options.zone, first(device.zone, config.zone));
  carriage.authority_file = first(options.authority_file, config.authority);
  return carriage;
}

Result<std::string> FindServer(const Carriage& carriage, const Config& config) {
  constexpr int kNfsPort = 2049;
  if (!carriage.mount_target_ip.empty()) {
    return JoinHostPort(carriage.mount_target_ip, kNfsPort);
  }
  csi::Registry registry(csi::DirectorySource(config.registry));
  auto entry = registry.ById(carriage.file_system_id);
  if (entry.ok()) {
    TRY(std::string server, csi::ChooseServer({}, &*entry, carriage.zone));
    TRY(csi::HostPort at, csi::SplitHostPort(server));
    return csi::JoinHostPort(at);
  }
  std::string name = carriage.host.empty() ? NfsServerName(carriage.file_system_id) : carriage.host;
  if (AskDns(name).ok()) return JoinHostPort(name, kNfsPort);
  return Error(Code::kNotFound,
               "Failed to resolve \"" + name +
                   "\" - check that your file system ID is correct: it is not in the registry (" +
                   config.registry +
                   "), which the CSI node plugin writes on nodes of a cluster, within two minutes "
                   "of a new file system. Elsewhere name the server by "
                   "\"mounttargetip=ADDRESS\"");
}

Result<Opening> Opener::Prepare(const Carriage& carriage) const {
  Opening opening;
  auto& request = opening.request;
  auto now = std::chrono::floor<seconds>(std::chrono::sys_time<Clock::Nanoseconds>(clock_.Now()));
  TRY(Credential credential, ReadCredential(carriage.identity, environment_));
  request.id = carriage.Id();
  request.server_name = NfsServerName(carriage.file_system_id);
  TRY(request.server, FindServer(carriage, config_));
  TRY(request.authority_pem, ReadAuthority(carriage.authority_file));
  TRY(Claims claims, MakeClaims(carriage, credential, config_.life, now));
  TRY(request.key_pem, tls::NewPrivateKey());
  if (!credential.access_key_id.empty()) {
    TRY(claims.identity.sigv4, Sign(carriage, credential, request.key_pem, now));
  }
  TRY(request.certificate_pem,
      tls::MakeIdentityCertificate(
          request.key_pem,
          {.identity = claims.identity, .now = now, .valid_after = claims.valid_for}));
  if (claims.identity.token) {
    WipeBytes(claims.identity.token->data(), claims.identity.token->size());
  }
  opening.of = Fingerprint(request, credential);
  opening.renew_at = now + (claims.by_token ? claims.valid_for : claims.valid_for / 2);
  return opening;
}

}  // namespace tarn::mount
