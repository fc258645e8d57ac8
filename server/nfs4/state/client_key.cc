#include "server/nfs4/state/client_key.h"

#include <charconv>

namespace tarn::nfs4 {
namespace {

constexpr char kIdentified = '@';  // what no number begins with

// Takes "N/" off the start.
bool TakeNumber(std::string_view& text, uint32_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != '/') return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return true;
}

// Takes "@IDENTITY/" off the start.
bool TakeIdentity(std::string_view& text, rpc::PeerIdentity& identity) {
  constexpr size_t kBytes = rpc::PeerIdentity::kTextBytes;
  if (text.size() < kBytes + 2 || text[kBytes + 1] != '/') return false;
  auto found = rpc::PeerIdentity::FromText(text.substr(1, kBytes));
  if (!found) return false;
  identity = *found;
  text.remove_prefix(kBytes + 2);
  return true;
}

}  // namespace

std::string ClientKey::Text() const {
  std::string text;
  if (!identity.nobody()) text.append(1, kIdentified).append(identity.Text()).append("/");
  text.append(std::to_string(file_system)).append("/").append(std::to_string(minor)).append("/");
  return text.append(owner);
}

ClientKey ClientKey::Parse(std::string_view text) {
  ClientKey key;
  bool good = text.empty() || text[0] != kIdentified || TakeIdentity(text, key.identity);
  if (!good || !TakeNumber(text, key.file_system) || !TakeNumber(text, key.minor)) return {};
  key.owner = text;
  return key;
}

}  // namespace tarn::nfs4
