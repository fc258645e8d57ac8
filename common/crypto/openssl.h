// What OpenSSL last complained about in this thread, as an Error. For code of this folder.
#pragma once

#include "common/result.h"

namespace tarn {

// kInternal; empties OpenSSL's queue of errors.
Error OpenSslError(const char* what);

}  // namespace tarn
