// ServiceAccount tokens, and the file of those who may issue them.
#include "common/fuzz.h"
#include "server/identity/testing/token_maker.h"
#include "server/identity/token_issuers.h"

using namespace tarn;            // NOLINT(google-build-using-namespace)
using namespace tarn::identity;  // NOLINT(google-build-using-namespace)

// The first byte says what the rest is: a token, the claims of one that is signed, a file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const TokenMaker cluster;
  static const auto issuers = TokenIssuers::Parse(cluster.File()).value();
  constexpr std::chrono::seconds kNow{2000};
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      FUZZ_REQUIRE(!issuers->Verify(text, kNow).ok());
      break;
    case 1: {
      auto account = issuers->Verify(cluster.SignText(text), kNow);
      if (account.ok())
        FUZZ_REQUIRE(!account->name_space.empty() && account->expires > kNow - kClockSkew);
      break;
    }
    default:
      (void)TokenIssuers::Parse(text);
  }
  return 0;
}
