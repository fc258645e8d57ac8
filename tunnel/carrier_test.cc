#include "tunnel/carrier.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tarn::tunnel {
namespace {

TEST(Carrier, AConnectionThatCannotBeginIsNotCounted) {
  Times times;
  auto carrier = Carrier::Start(times, 1).value();
  auto mount =
      std::make_shared<Mount>("pod-1", "127.0.0.1", 20049, std::make_shared<const Settings>());
  // No file of a file system can be waited for.
  Fd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file.open());
  carrier->Adopt(mount, std::move(file), {});
  // Done when it is: on the same thread, after it.
  carrier->RemoveMount(Mount("other", "127.0.0.1", 20050, nullptr));
  EXPECT_EQ(mount->connections, 0u);
  EXPECT_EQ(carrier->connections(), 0u);
}

}  // namespace
}  // namespace tarn::tunnel
