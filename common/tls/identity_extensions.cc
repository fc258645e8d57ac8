#include "common/tls/identity_extensions.h"

#include <charconv>
#include <cstdio>

#include "common/ids.h"
#include "common/tls/der.h"

namespace tarn::tls {
namespace {

using std::chrono::sys_seconds;

constexpr size_t kDerHeaderBytes = 4;  // of a value of less than 64 KiB
constexpr int kUtcTimePivot = 50;      // RFC 5280 section 4.1.2.5.1: 49 is 2049, 50 is 1950

// "YYMMDDHHMMSSZ", the only form that DER has.
bool ReadUtcTime(std::string_view text, sys_seconds& time) {
  if (text.size() != 13 || text.back() != 'Z') return false;
  std::array<unsigned, 6> field{};
  for (size_t i = 0; i < field.size(); ++i) {
    const char* at = text.data() + 2 * i;
    auto [end, failed] = std::from_chars(at, at + 2, field[i]);
    if (failed != std::errc() || end != at + 2) return false;
  }
  auto [year, month, day, hour, minute, second] = field;
  std::chrono::year_month_day date{
      std::chrono::year(static_cast<int>(year) + (year < kUtcTimePivot ? 2000 : 1900)),
      std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return false;
  time = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
  return true;
}

std::string UtcTime(sys_seconds time) {
  auto days = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(days);
  std::chrono::hh_mm_ss clock(time - days);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%02d%02u%02u%02d%02d%02dZ",
                static_cast<int>(date.year()) % 100, static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

bool ReadId(std::string_view der, std::string_view prefix, std::optional<std::string>& id) {
  DerReader from(der);
  return from.GetText(id.emplace(), kNameBytesMax) && from.at_end() && IsId(prefix, *id);
}

std::string WriteText(const std::optional<std::string>& text) {
  return text ? DerValue(kDerUtf8String, *text) : "";
}

bool ReadAccessPoint(std::string_view der, CertificateIdentity& identity) {
  return ReadId(der, kAccessPointPrefix, identity.access_point_id);
}

bool ReadFileSystem(std::string_view der, CertificateIdentity& identity) {
  return ReadId(der, kFileSystemPrefix, identity.file_system_id);
}

bool ReadSigV4(std::string_view der, CertificateIdentity& identity) {
  SigV4Claim& claim = identity.sigv4.emplace();
  DerReader outer(der);
  std::string_view fields, signature, date, wrapped;
  if (!outer.Get(kDerSequence, fields) || !outer.at_end()) return false;
  DerReader from(fields);
  bool ok = from.GetText(claim.access_key_id, kNameBytesMax) &&
            from.Get(kDerOctetString, signature) && !signature.empty() &&
            signature.size() <= kSignatureBytesMax && from.Get(kDerUtcTime, date) &&
            ReadUtcTime(date, claim.date);
  if (!ok) return false;
  claim.signature = signature;
  if (from.at_end()) return true;
  if (!from.Get(kDerContext0, wrapped) || !from.at_end()) return false;
  DerReader token(wrapped);
  return token.GetText(claim.session_token.emplace(), kSessionTokenBytesMax) && token.at_end();
}

std::string WriteSigV4(const CertificateIdentity& identity) {
  if (!identity.sigv4) return "";
  const SigV4Claim& claim = *identity.sigv4;
  std::string fields = DerValue(kDerUtf8String, claim.access_key_id) +
                       DerValue(kDerOctetString, claim.signature) +
                       DerValue(kDerUtcTime, UtcTime(claim.date));
  if (claim.session_token) {
    fields += DerValue(kDerContext0, DerValue(kDerUtf8String, *claim.session_token));
  }
  return DerValue(kDerSequence, fields);
}

bool ReadClientInfo(std::string_view der, CertificateIdentity& identity) {
  ClientInfo& info = identity.client_info.emplace();
  DerReader outer(der);
  std::string_view fields;
  if (!outer.Get(kDerSequence, fields) || !outer.at_end()) return false;
  DerReader from(fields);
  return from.GetText(info.source, kNameBytesMax) && from.GetText(info.version, kNameBytesMax) &&
         from.at_end();
}

std::string WriteClientInfo(const CertificateIdentity& identity) {
  if (!identity.client_info) return "";
  return DerValue(kDerSequence, DerValue(kDerUtf8String, identity.client_info->source) +
                                    DerValue(kDerUtf8String, identity.client_info->version));
}

bool ReadToken(std::string_view der, CertificateIdentity& identity) {
  DerReader from(der);
  return from.GetText(identity.token.emplace(), kTokenBytesMax) && from.at_end();
}

}  // namespace

const std::array<IdentityExtension, 5>& IdentityExtensions() {
  static const std::array<IdentityExtension, 5> all{{
      {kAccessPointOid, "access point id", kNameBytesMax + kDerHeaderBytes, ReadAccessPoint,
       [](const CertificateIdentity& identity) { return WriteText(identity.access_point_id); }},
      {kSigV4Oid, "SigV4 signature", kSessionTokenBytesMax + 1024, ReadSigV4, WriteSigV4},
      {kFileSystemOid, "file system id", kNameBytesMax + kDerHeaderBytes, ReadFileSystem,
       [](const CertificateIdentity& identity) { return WriteText(identity.file_system_id); }},
      {kClientInfoOid, "client info", 3 * kDerHeaderBytes + 2 * kNameBytesMax, ReadClientInfo,
       WriteClientInfo},
      {kTokenOid, "ServiceAccount token", kTokenBytesMax + kDerHeaderBytes, ReadToken,
       [](const CertificateIdentity& identity) { return WriteText(identity.token); }},
  }};
  return all;
}

Result<void> ReadExtension(const IdentityExtension& extension, std::string_view der,
                           CertificateIdentity& identity) {
  std::string where =
      std::string("certificate extension ") + extension.oid + " (" + extension.name + "): ";
  if (der.size() > extension.bytes_max) {
    return Error(Code::kInvalid, where + std::to_string(der.size()) + " bytes; " +
                                     std::to_string(extension.bytes_max) + " at most");
  }
  if (extension.read(der, identity)) return Ok();
  return Error(Code::kInvalid, where + "its value breaks the format or its bounds");
}

}  // namespace tarn::tls
