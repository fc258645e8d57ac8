// Scrubs: reads all that is stored and compares it with its checksums, in the background, at a
// bounded rate. One at a time; it goes on when whoever began it goes away. What the last one found
// is kept until the next begins.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/control.pb.h"
#include "common/clock.h"
#include "common/result.h"
#include "server/vfs/types.h"

namespace tarn::control {

class Scrubs {
 public:
  struct Subject {
    std::string id;      // in front of its problems
    uint64_t bytes = 0;  // about so many are stored, for the progress; 0: not known
    // As vfs::FileSystem::Scrub. kStale: it was removed meanwhile. Other errors end the scrub.
    std::function<Result<vfs::ScrubCounts>(const vfs::ScrubPace& pace,
                                           const std::function<void(std::string_view)>& report)>
        run;
  };

  explicit Scrubs(const Clock& clock) : clock_(clock) {}
  ~Scrubs() { Stop(); }

  // Conflict: one runs. `id`: what the report is to say that it is about.
  Result<void> Start(const std::string& id, std::vector<Subject> subjects,
                     uint64_t bytes_per_second);
  v1::ScrubReport Report();
  // Returns when it has ended. Threads that call it at once wait for each other.
  void Stop();

 private:
  void Run(const std::vector<Subject>& subjects);
  // False: it is to stop.
  bool Pace(uint64_t bytes);
  void Problem(const std::string& line);

  const Clock& clock_;
  std::mutex thread_mutex_;  // before mutex_
  std::thread thread_;       // guarded by thread_mutex_
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;            // these are guarded by mutex_
  v1::ScrubReport report_;       // as the API tells it
  Clock::Nanoseconds begun_{0};  // by Monotonic
};

}  // namespace tarn::control
