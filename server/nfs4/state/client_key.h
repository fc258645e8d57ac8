// What makes two introductions (EXCHANGE_ID, SETCLIENTID) those of one client: the name that it
// gives itself, and what it cannot choose, so that nobody gets at another one's state by its name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/rpc/peer_identity.h"

namespace tarn::nfs4 {

struct ClientKey {
  rpc::PeerIdentity identity;  // of the connection that it came by
  uint32_t file_system = 0;    // of the listener
  uint32_t minor = 0;          // what it got is not used in another one (RFC 8881 section 2.7)
  std::string_view owner;      // of the text that was parsed

  // "FILE SYSTEM/MINOR/OWNER", of an identity "@IDENTITY/FILE SYSTEM/MINOR/OWNER". It is in durable
  // records (recovery.h): different for different keys, and to stay as it is.
  std::string Text() const;
  // All zero and an empty owner for what is no such text.
  static ClientKey Parse(std::string_view text);
};

}  // namespace tarn::nfs4
