#include "server/identity/testing/token_maker.h"

extern "C" {  // its headers do not say so themselves
#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>
}

#include <cstdlib>

namespace tarn::identity {
namespace {

using nlohmann::json;

json_t* Load(const json& value) {
  std::string text = value.dump();
  return json_loadb(text.data(), text.size(), 0, nullptr);
}

json Dump(const json_t* value) {
  char* text = json_dumps(value, 0);
  json parsed = json::parse(text);
  std::free(text);
  return parsed;
}

std::string Encode(const std::string& bytes) {
  std::string text(jose_b64_enc_buf(nullptr, bytes.size(), nullptr, 0), '\0');
  jose_b64_enc_buf(bytes.data(), bytes.size(), text.data(), text.size());
  return text;
}

}  // namespace

TokenMaker::TokenMaker(const std::string& algorithm, std::string issuer)
    : issuer_(std::move(issuer)) {
  AddKey(algorithm);
}

TokenMaker::~TokenMaker() {
  for (json_t* key : keys_) json_decref(key);
}

void TokenMaker::AddKey(const std::string& algorithm) {
  json_t* key = Load({{"alg", algorithm}});
  if (!jose_jwk_gen(nullptr, key)) std::abort();
  json_object_set_new(key, "kid", json_string(("key-" + std::to_string(keys_.size())).c_str()));
  keys_.push_back(key);
}

json TokenMaker::Entry(const std::string& audience) const {
  json keys = json::array();
  for (const json_t* key : keys_) {
    json_t* pub = json_deep_copy(key);
    if (!jose_jwk_pub(nullptr, pub)) std::abort();
    keys.push_back(Dump(pub));
    json_decref(pub);
  }
  return {{"issuer", issuer_}, {"audience", audience}, {"jwks", {{"keys", keys}}}};
}

std::string TokenMaker::File() const {
  return json({{"issuers", {Entry()}}}).dump();
}

json TokenMaker::Claims(const std::string& name_space, const std::string& name) const {
  return {{"iss", issuer_},
          {"aud", {"tarn.dev"}},
          {"sub", "system:serviceaccount:" + name_space + ":" + name},
          {"nbf", 1000},
          {"iat", 1000},
          {"exp", 4600},
          {"kubernetes.io",
           {{"namespace", name_space},
            {"serviceaccount", {{"name", name}, {"uid", "sa-uid"}}},
            {"pod", {{"name", "pod-0"}, {"uid", "pod-uid"}}},
            {"node", {{"name", "node-a"}, {"uid", "node-uid"}}}}}};
}

std::string TokenMaker::SignText(const std::string& payload, const json& header) const {
  const json_t* key = keys_.back();
  json due = {{"alg", json_string_value(json_object_get(key, "alg"))},
              {"kid", json_string_value(json_object_get(key, "kid"))}};
  due.update(header);
  json_t* jws = Load({{"payload", Encode(payload)}});
  json_t* signature = Load({{"protected", due}});
  if (!jose_jws_sig(nullptr, jws, signature, key)) std::abort();
  json signed_jws = Dump(jws);
  json_decref(jws);
  json_decref(signature);
  auto part = [&](const char* name) { return signed_jws[name].get<std::string>(); };
  return part("protected") + "." + part("payload") + "." + part("signature");
}

}  // namespace tarn::identity
