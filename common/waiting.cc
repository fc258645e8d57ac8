#include "common/waiting.h"

#include <utility>

namespace tarn {
namespace {

thread_local WaitObserver* current = nullptr;

}  // namespace

WaitScope::WaitScope(WaitObserver* observer) : before_(std::exchange(current, observer)) {}

WaitScope::~WaitScope() {
  current = before_;
}

void AboutToWait() {
  if (current != nullptr) current->AboutToWait();
}

}  // namespace tarn
