// stateid4 (RFC 7530 section 9.1.4, RFC 8881 section 8.2): `other` is the client id and the state's
// number within the client. Both begin with the boot epoch, so that a state of an earlier run is
// told apart from one that never was, also when a 4.1 client's id outlived that run.
#pragma once

#include <cstring>

#include "api/nfs4.h"

namespace tarn::nfs4 {

struct StateName {
  clientid4 client = 0;
  uint32_t state = 0;
};

enum class SpecialStateid { kNone, kAnonymous, kBypass, kCurrent, kInvalid };

inline uint32_t EpochOf(clientid4 client) {
  return static_cast<uint32_t>(client >> 32);
}

inline constexpr uint32_t kStateNumberBits = 20;  // below the epoch's low bits
inline uint32_t FirstState(uint32_t epoch) {
  return epoch << kStateNumberBits;
}

inline stateid4 MakeStateid(const StateName& name, uint32_t seqid) {
  stateid4 made{.seqid = seqid, .other = {}};
  std::memcpy(made.other.data(), &name.client, sizeof(name.client));
  std::memcpy(made.other.data() + 8, &name.state, sizeof(name.state));
  return made;
}

inline StateName NameOf(const stateid4& stateid) {
  StateName name;
  std::memcpy(&name.client, stateid.other.data(), sizeof(name.client));
  std::memcpy(&name.state, stateid.other.data() + 8, sizeof(name.state));
  return name;
}

// The client's part of the stateid of an asynchronous copy, which so is none of its opens and
// locks: a client's id, which begins with the boot epoch, never has this bit.
inline clientid4 CopyName(clientid4 client) {
  return client | uint64_t{1} << 63;
}

// RFC 8881 section 8.2.3. kCurrent and kInvalid are 4.1 only.
inline SpecialStateid SpecialOf(const stateid4& stateid) {
  bool zeros = true;
  bool ones = true;
  for (std::byte b : stateid.other) {
    zeros = zeros && b == std::byte{0};
    ones = ones && b == std::byte{0xff};
  }
  if (zeros && stateid.seqid == 0) return SpecialStateid::kAnonymous;
  if (ones && stateid.seqid == UINT32_MAX) return SpecialStateid::kBypass;
  if (zeros && stateid.seqid == 1) return SpecialStateid::kCurrent;
  if (zeros || ones) return SpecialStateid::kInvalid;
  return SpecialStateid::kNone;
}

// What CLOSE returns in 4.1: a stateid that nothing takes.
inline stateid4 InvalidStateid() {
  return {.seqid = UINT32_MAX, .other = {}};
}

}  // namespace tarn::nfs4
