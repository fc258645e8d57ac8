// How code deep down tells whoever runs this thread that it is about to wait for a disk, so that
// somebody else takes over what the thread would have done next. It is a hint: nothing depends on
// its being given.
#pragma once

namespace tarn {

class WaitObserver {
 public:
  virtual ~WaitObserver() = default;
  // Any number of times.
  virtual void AboutToWait() = 0;
};

// The observer of this thread as long as the scope lives; the one before comes back after it.
class WaitScope {
 public:
  explicit WaitScope(WaitObserver* observer);
  ~WaitScope();
  WaitScope(const WaitScope&) = delete;
  WaitScope& operator=(const WaitScope&) = delete;

 private:
  WaitObserver* const before_;
};

// Tells this thread's observer, if it has one.
void AboutToWait();

}  // namespace tarn
