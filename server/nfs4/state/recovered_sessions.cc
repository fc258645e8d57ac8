// The durable records of 4.1 sessions.
#include "common/log.h"
#include "server/nfs4/state/recovery.h"

namespace tarn::nfs4 {
namespace {

constexpr std::string_view kSessions = "nfs/session/";
constexpr uint32_t kRecordVersion = 2;
constexpr uint32_t kRecordVersion1 = 1;  // said nothing of the back channel
constexpr uint32_t kKeyBytesMax = 2048;

std::string_view Text(const sessionid4& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

std::string ToBytes(const SessionRecord& session) {
  xdr::Encoder to;
  to.Put(kRecordVersion);
  to.PutFixed(session.id);
  to.Put(session.client);
  to.PutString(session.client_key);
  to.PutFixed(session.verifier);
  to.Put(static_cast<uint32_t>(session.principal.flavor));
  to.Put(session.principal.uid);
  to.Put(session.next_create_session);
  Encode(to, session.fore);
  const BackChannelTerms& back = session.back;
  to.Put(back.minor);
  to.Put(back.program.number);
  to.Put(static_cast<uint32_t>(back.program.flavor));
  to.PutOpaque(back.program.credential);
  to.Put(back.usable);
  to.Put(back.wanted);
  Encode(to, back.attributes);
  auto flat = to.Flatten();
  return {reinterpret_cast<const char*>(flat.data()), flat.size()};
}

bool BackFromBytes(xdr::Decoder& from, BackChannelTerms& back) {
  uint32_t flavor = 0;
  xdr::Opaque credential;
  bool good = from.Get(back.minor) && from.Get(back.program.number) && from.Get(flavor) &&
              from.GetOpaque(credential, rpc::AUTH_BODY_BYTES_MAX) && from.Get(back.usable) &&
              from.Get(back.wanted) && Decode(from, back.attributes);
  back.program.flavor = static_cast<rpc::auth_flavor>(flavor);
  back.program.credential.assign(credential.begin(), credential.end());
  return good;
}

bool FromBytes(std::string_view bytes, SessionRecord& session) {
  xdr::Decoder from(std::as_bytes(std::span(bytes)));
  uint32_t version = 0;
  uint32_t flavor = 0;
  std::string_view key;
  bool good = from.Get(version) && version <= kRecordVersion && from.GetFixed(session.id) &&
              from.Get(session.client) && from.GetString(key, kKeyBytesMax) &&
              from.GetFixed(session.verifier) && from.Get(flavor) &&
              from.Get(session.principal.uid) && from.Get(session.next_create_session) &&
              Decode(from, session.fore);
  if (good && version == kRecordVersion1) session.back.usable = false;
  if (good && version > kRecordVersion1) good = BackFromBytes(from, session.back);
  session.client_key = key;
  session.principal.flavor = static_cast<rpc::auth_flavor>(flavor);
  return good;
}

}  // namespace

Result<void> Recovery::LoadSessions() {
  return records_.Scan(kSessions, [this](std::string_view key, std::string_view value) {
    SessionRecord session;
    if (FromBytes(value, session)) {
      sessions_.push_back(std::move(session));
    } else {
      // Its client makes a new one: this costs a retry, not data.
      spdlog::error("nfs: session record of {} bytes is not understood", key.size());
    }
    return true;
  });
}

Result<void> Recovery::KeepSession(const SessionRecord& session) {
  return records_.Put(std::string(kSessions).append(Text(session.id)), ToBytes(session));
}

void Recovery::ForgetSession(const sessionid4& id) {
  // In this order: a crash in between leaves a session that its client ends, not lost records.
  if (forget_replays_) forget_replays_(Text(id));
  auto deleted = records_.Delete(std::string(kSessions).append(Text(id)));
  if (!deleted.ok()) {
    spdlog::error("nfs: cannot delete a session's record: {}", deleted.error().ToString());
  }
}

}  // namespace tarn::nfs4
