#include "csi/call.h"

#include <google/protobuf/text_format.h>

#include "common/log.h"
#include "csi/volume_context.h"

namespace tarn::csi {
namespace {

// Of a map's entry, which is a message with the fields key and value.
void StripValue(google::protobuf::Message* entry) {
  const auto* value = entry->GetDescriptor()->FindFieldByName("value");
  entry->GetReflection()->SetString(entry, value, "***stripped***");
}

// Kubelet puts pods' tokens into the volume context, which CSI does not mark as secret.
void StripTokens(google::protobuf::Message* message,
                 const google::protobuf::FieldDescriptor* field) {
  const auto* reflection = message->GetReflection();
  const auto* key = field->message_type()->FindFieldByName("key");
  const auto* value = field->message_type()->FindFieldByName("value");
  if (key->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING ||
      value->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
    return;
  }
  for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
    auto* entry = reflection->MutableRepeatedMessage(message, field, i);
    if (entry->GetReflection()->GetString(*entry, key) == kTokensKey) StripValue(entry);
  }
}

void StripSecrets(google::protobuf::Message* message) {
  const auto* reflection = message->GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const auto* field : fields) {
    if (!field->options().GetExtension(pb::csi_secret)) {
      if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (field->is_map()) {
        StripTokens(message, field);
      } else if (!field->is_repeated()) {
        StripSecrets(reflection->MutableMessage(message, field));
      } else {
        for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
          StripSecrets(reflection->MutableRepeatedMessage(message, field, i));
        }
      }
    } else if (field->is_map()) {
      // A map entry is a message with the fields key and value; the key tells which secret was
      // there.
      for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
        StripValue(reflection->MutableRepeatedMessage(message, field, i));
      }
    } else {
      reflection->ClearField(message, field);
    }
  }
}

}  // namespace

std::string Describe(const google::protobuf::Message& message) {
  std::unique_ptr<google::protobuf::Message> copy(message.New());
  copy->CopyFrom(message);
  StripSecrets(copy.get());
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(*copy, &text);
  return text;
}

void LogOutcome(const char* method, const google::protobuf::Message& request,
                const grpc::Status& status, std::chrono::steady_clock::time_point started) {
  auto level = status.ok() ? spdlog::level::debug : spdlog::level::warn;
  if (!spdlog::should_log(level)) return;
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - started);
  spdlog::log(level, "{} took {} ms: {} {}; request: {}", method, took.count(),
              status.ok() ? "ok" : "code " + std::to_string(status.error_code()),
              status.error_message(), Describe(request));
}

}  // namespace tarn::csi
