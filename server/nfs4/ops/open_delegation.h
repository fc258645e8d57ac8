// OPEN's delegations (RFC 7530 section 10.4, RFC 8881 sections 10.4 and 18.16).
#pragma once

#include "server/nfs4/ops/open_file.h"

namespace tarn::nfs4::ops {

inline bool ClaimsDelegation(const OPEN4args& args) {
  return args.claim.claim == CLAIM_DELEGATE_CUR || args.claim.claim == CLAIM_DELEG_CUR_FH;
}

// The delegation under which the client has the file open already, for a claim that names it.
nfsstat4 ClaimedDelegation(Compound& c, const OPEN4args& args, const Client& client,
                           DelegationPtr& held);

// What the answer of an OPEN says: a delegation, or none, and why (4.1, if the client said what it
// wants). `given`: one was; what was read of the file before does not count any more.
open_delegation4 Delegate(Compound& c, const OPEN4args& args, const OpenOwner& owner,
                          const OpenState& open, const CurrentFile& file, bool& given);

}  // namespace tarn::nfs4::ops
