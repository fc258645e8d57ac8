// Mount: what the threads that carry bytes and the management share of one mount.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tunnel/settings.h"

namespace tarn::tunnel {

class Mount {
 public:
  Mount(std::string id, std::string address, uint16_t port,
        std::shared_ptr<const Settings> settings)
      : id_(std::move(id)),
        address_(std::move(address)),
        port_(port),
        settings_(std::move(settings)) {}

  const std::string& id() const { return id_; }
  const std::string& address() const { return address_; }
  uint16_t port() const { return port_; }

  std::shared_ptr<const Settings> settings() const {
    std::lock_guard lock(mutex_);
    return settings_;
  }
  void Change(std::shared_ptr<const Settings> settings) {
    std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
  }
  // Why the last connection to a server failed. True: that is new.
  bool NoteError(const std::string& error) {
    std::lock_guard lock(mutex_);
    return std::exchange(last_error_, error) != error;
  }
  std::string last_error() const {
    std::lock_guard lock(mutex_);
    return last_error_;
  }

  std::atomic<uint32_t> connections{0};
  std::atomic<uint64_t> bytes_sent{0};  // to servers
  std::atomic<uint64_t> bytes_received{0};

 private:
  const std::string id_;
  const std::string address_;
  const uint16_t port_;
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const Settings> settings_;
  std::string last_error_;
};

}  // namespace tarn::tunnel
