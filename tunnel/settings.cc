#include "tunnel/settings.h"

#include <charconv>
#include <ctime>

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

Result<int64_t> NotAfter(const std::string& pem) {
  tls::Owned<X509> certificate = tls::ParseCertificate(pem);
  if (!certificate) return Bad("certificate_pem", "is no certificate in PEM");
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &time) != 1) {
    return Bad("certificate_pem", "does not say when it ends");
  }
  return timegm(&time);
}

}  // namespace

bool IsMountId(std::string_view text) {
  return !text.empty() && text.size() <= kMountIdBytesMax && text.front() != '.' &&
         OnlyOf(text, "._-");
}

Result<std::shared_ptr<const Settings>> CheckSettings(const v1::OpenMountRequest& request) {
  auto settings = std::make_shared<Settings>();
  if (!IsMountId(request.mount_id())) {
    return Bad("mount_id", "takes 1 to 128 of A-Z a-z 0-9 . _ - and does not begin with '.'");
  }
  settings->mount_id = request.mount_id();
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
  if (request.certificate_pem().empty() != request.private_key_pem().empty()) {
    return Bad(request.certificate_pem().empty() ? "certificate_pem" : "private_key_pem",
               "is missing: a certificate and its key come together");
  }
  if (!request.certificate_pem().empty()) {
    TRY(settings->certificate_not_after, NotAfter(request.certificate_pem()));
  }
  tls::ClientTlsOptions options{.ca_pem = request.authority_pem(),
                                .certificate_pem = request.certificate_pem(),
                                .key_pem = request.private_key_pem()};
  auto context = tls::NewClientContext(options);
  WipeBytes(options.key_pem.data(), options.key_pem.size());
  if (!context.ok()) {
    return Bad("private_key_pem, certificate_pem or authority_pem", context.error().message());
  }
  settings->context = std::move(context).value();
  settings->digest = DigestOf(request);
  return std::shared_ptr<const Settings>(std::move(settings));
}

}  // namespace tarn::tunnel
