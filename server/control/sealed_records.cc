#include "server/control/sealed_records.h"

namespace tarn::control {
namespace {

std::string AssociatedWith(const records::AccessPoint& record) {
  const auto& description = record.description();
  return "tarn access point " + description.access_point_id() + " of " +
         description.file_system_id();
}

}  // namespace

Result<std::unique_ptr<Sealer>> RecordSealer(const SecretBytes& data_key) {
  TRY(SecretBytes key, DeriveKey(data_key, {}, "tarn control records", Sealer::kKeyBytes));
  return Sealer::Create(key);
}

Result<records::AccessPoint> SealRecord(const Sealer& sealer, const records::AccessPoint& record) {
  records::AccessPoint secret;
  auto& from = *secret.mutable_description();
  from.set_client_token(record.description().client_token());
  from.set_name(record.description().name());
  *from.mutable_tags() = record.description().tags();
  from.mutable_root_directory()->set_path(record.description().root_directory().path());
  *secret.mutable_request() = record.request();

  records::AccessPoint left = record;
  auto& description = *left.mutable_description();
  description.clear_client_token();
  description.clear_name();
  description.clear_tags();
  description.mutable_root_directory()->clear_path();
  left.clear_request();
  TRY(std::string sealed, sealer.Seal(secret.SerializeAsString(), AssociatedWith(record)));
  left.set_sealed(std::move(sealed));
  return left;
}

Result<records::AccessPoint> OpenRecord(const Sealer& sealer, const records::AccessPoint& record) {
  auto opened = sealer.Open(record.sealed(), AssociatedWith(record));
  records::AccessPoint secret;
  if (!opened.ok() || !secret.ParseFromString(*opened)) {
    return Error(Code::kCorrupt, "the record of access point " +
                                     record.description().access_point_id() +
                                     " was sealed with another key, or changed");
  }
  records::AccessPoint whole = record;
  whole.clear_sealed();
  auto& description = *whole.mutable_description();
  description.set_client_token(secret.description().client_token());
  description.set_name(secret.description().name());
  *description.mutable_tags() = secret.description().tags();
  description.mutable_root_directory()->set_path(secret.description().root_directory().path());
  *whole.mutable_request() = secret.request();
  return whole;
}

}  // namespace tarn::control
