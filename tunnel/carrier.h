// Carrier: the threads that carry bytes, with the listeners and connections of all mounts.
//
// A mount's listener lives on one loop; its connections are spread over all of them.
//
// Threads: any but the loops' own; one at a time for one mount.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tunnel/connection.h"

namespace tarn::tunnel {

class Carrier {
 public:
  // `loops`: how many threads; 0: as many as there are processors, kLoopsMax at most.
  static Result<std::unique_ptr<Carrier>> Start(const Times& times, unsigned loops = 0);
  ~Carrier();

  // Takes clients from `listener`, which listens. kUnavailable: the system has no room for it.
  Result<void> AddMount(std::shared_ptr<Mount> mount, Fd listener);
  // Closes its listener and its connections, and returns when they are closed.
  void RemoveMount(const Mount& mount);
  // It has other settings: its connections are moved to them.
  void MoveMount(const Mount& mount);

  // --- hand-over ---
  // The listeners' descriptors, good while no mount is added or removed.
  std::vector<std::pair<std::shared_ptr<Mount>, int>> Listeners();
  // Stops taking clients: their connections wait in the listeners, which stay open here.
  void PauseListeners();
  void ResumeListeners();
  // Each connection departs as it becomes quiet; those that are busy for too long are closed.
  // `depart` is called on the loops' threads.
  void HandOver(const std::function<void(Departure)>& depart);
  void Stay();
  // Takes what departed from another process.
  void Adopt(std::shared_ptr<Mount> mount, Fd local, Bytes held);

  size_t connections() const { return connections_.load(); }
  size_t kept_bytes() const { return kept_bytes_.load(); }

 private:
  class Lane;
  class Listener;

  explicit Carrier(const Times& times);
  // Of a client that came, on any loop's thread.
  void Spread(std::shared_ptr<Mount> mount, Fd local, Bytes held);

  const Times times_;
  std::atomic<size_t> kept_bytes_{0};
  std::atomic<size_t> connections_{0};
  std::atomic<size_t> next_lane_{0};
  std::unique_ptr<Resolver> resolver_;  // its answers go to loops
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace tarn::tunnel
