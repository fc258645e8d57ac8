// What the operations that set up callbacks share.
#pragma once

#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

// The first security flavor of the list that we speak. False: there is none.
bool ChooseSecurity(const std::vector<callback_sec_parms4>& offered, CallbackProgram& program);

// Not over a connection of our own to a 4.0 client that came encrypted: what it is told of its
// files would go in the clear.
bool MayBeCalled(const Compound& c);

// The universal address of a 4.0 client (RFC 5665 section 5.2.3). Empty (no dialer) unless it is
// on the host that the call came from (the server connects to nobody else for a client), and the
// client may be called.
CallbackAddress AddressOf(Compound& c, const cb_client4& callback, uint32_t ident);

// Asks a client whether its callback path works, where delegations depend on it.
void ProbePath(Compound& c, Client& client);

}  // namespace tarn::nfs4::ops
