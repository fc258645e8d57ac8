#include "tunnel/settings.h"

#include <charconv>
#include <map>
#include <mutex>

#include "api/tunnel.pb.h"
#include "common/crypto/secret_bytes.h"
#include "common/text.h"
#include "tunnel/limits.h"

namespace tarn::tunnel {
namespace {

Error Bad(const std::string& field, const std::string& why) {
  return Error(Code::kInvalid, field + ": " + why);
}

bool OnlyOf(std::string_view text, std::string_view more) {
  for (char c : text) {
    bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && more.find(c) == std::string_view::npos) return false;
  }
  return true;
}

Result<ServerAddress> ParseServer(const std::string& text) {
  ServerAddress server{.host = {}, .port = {}, .text = text};
  size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    server.host = text.substr(0, colon);
    server.port = text.substr(colon + 1);
  }
  bool bracketed = server.host.starts_with('[') && server.host.ends_with(']');
  if (bracketed) server.host = server.host.substr(1, server.host.size() - 2);
  unsigned port = 0;
  auto [end, failed] =
      std::from_chars(server.port.data(), server.port.data() + server.port.size(), port);
  bool numeric = failed == std::errc() && end == server.port.data() + server.port.size();
  bool host = !server.host.empty() && server.host.size() <= kHostBytesMax &&
              OnlyOf(server.host, bracketed ? ".:%" : ".-_");
  if (!host || !numeric || port == 0 || port > 65535) {
    return Bad("servers",
               "'" + text.substr(0, kHostBytesMax) + "' is no HOST:PORT ([ADDRESS]:PORT for IPv6)");
  }
  return server;
}

Result<void> CheckPem(const std::string& field, const std::string& pem) {
  if (pem.size() <= kPemBytesMax) return Ok();
  return Bad(field, "more than " + std::to_string(kPemBytesMax) + " bytes");
}

// Of the same request the same; no secret can be told from it.
std::string DigestOf(const v1::OpenMountRequest& request) {
  std::string bytes = request.SerializeAsString();
  std::string digest = Sha256Hex(bytes);
  WipeBytes(bytes.data(), bytes.size());
  return digest;
}

// The context of an authority, as long as a mount uses it: all mounts of a release have the same.
Result<tls::Context> ContextOf(const std::string& authority_pem) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<SSL_CTX>> contexts;
  std::lock_guard lock(mutex);
  std::erase_if(contexts, [](const auto& one) { return one.second.expired(); });
  std::string digest = Sha256Hex(authority_pem);
  if (tls::Context known = contexts[digest].lock()) return known;
  TRY(tls::Context made, tls::NewClientContext({.ca_pem = authority_pem}));
  contexts[digest] = made;
  return made;
}

Result<void> CheckCertificate(const v1::OpenMountRequest& request, Settings& settings) {
  bool with_certificate = !request.certificate_pem().empty();
  if (with_certificate == request.private_key_pem().empty()) {
    return Bad(with_certificate ? "private_key_pem" : "certificate_pem",
               "is missing: a certificate and its key come together");
  }
  if (!with_certificate) return Ok();
  if (!tls::ParseCertificate(request.certificate_pem())) {
    return Bad("certificate_pem", "is no certificate in PEM");
  }
  auto parsed = tls::CertificateAndKey::Parse(request.certificate_pem(), request.private_key_pem());
  if (!parsed.ok()) return Bad("private_key_pem", parsed.error().message());
  settings.certificate = std::move(parsed).value();
  settings.certificate_not_after = settings.certificate->not_after().time_since_epoch().count();
  if (!NewConnection(settings)) return Bad("certificate_pem", "OpenSSL does not take it");
  return Ok();
}

}  // namespace

tls::Owned<SSL> NewConnection(const Settings& settings) {
  tls::Owned<SSL> ssl = tls::NewClientConnection(*settings.context, settings.server_name);
  if (ssl && settings.certificate && !settings.certificate->Use(*ssl)) ssl.reset();
  return ssl;
}

bool IsMountId(std::string_view text) {
  return !text.empty() && text.size() <= kMountIdBytesMax && text.front() != '.' &&
         OnlyOf(text, "._-");
}

Result<std::shared_ptr<const Settings>> CheckSettings(const v1::OpenMountRequest& request) {
  auto settings = std::make_shared<Settings>();
  if (!IsMountId(request.mount_id())) {
    return Bad("mount_id", "takes 1 to 128 of A-Z a-z 0-9 . _ - and does not begin with '.'");
  }
  if (request.servers().empty() || request.servers().size() > static_cast<int>(kServersMax)) {
    return Bad("servers", "takes 1 to " + std::to_string(kServersMax) + " of HOST:PORT");
  }
  for (const std::string& text : request.servers()) {
    TRY(ServerAddress server, ParseServer(text));
    settings->servers.push_back(std::move(server));
  }
  const std::string& name = request.server_name();
  if (name.empty() || name.size() > kHostBytesMax || !OnlyOf(name, ".-_")) {
    return Bad("server_name", "takes the DNS name that the server's certificate is for");
  }
  settings->server_name = name;
  TRY(CheckPem("authority_pem", request.authority_pem()));
  TRY(CheckPem("certificate_pem", request.certificate_pem()));
  TRY(CheckPem("private_key_pem", request.private_key_pem()));
  if (!tls::ParseCertificate(request.authority_pem())) {
    return Bad("authority_pem", "holds no certificate in PEM");
  }
  auto context = ContextOf(request.authority_pem());
  if (!context.ok()) return Bad("authority_pem", context.error().message());
  settings->context = std::move(context).value();
  TRY(CheckCertificate(request, *settings));
  settings->digest = DigestOf(request);
  return std::shared_ptr<const Settings>(std::move(settings));
}

}  // namespace tarn::tunnel
