// ExportTable: what the NFS server finds of the control API's resources (server/nfs4/exports.h).
//
// Threads: any. Lookups take a reader's lock of one shard for the time of a hash lookup; writers
// hold it as shortly, and never during I/O, so no request waits for a control operation. The first
// use of an access point is the exception: it makes the root directory, and only those wait who use
// access points of that file system for the first time.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/ip_address.h"
#include "server/nfs4/exports.h"

namespace tarn::control {

using ExportPtr = std::shared_ptr<const nfs4::Export>;

class ExportTable : public nfs4::Exports {
 public:
  // Makes the root directory of an access point and publishes its export.
  using FirstUse = std::function<Result<ExportPtr>(std::string_view access_point_id)>;
  explicit ExportTable(FirstUse first_use) : first_use_(std::move(first_use)) {}

  Result<ExportPtr> Root(uint64_t listener) override;
  Result<ExportPtr> Enter(uint32_t file_system, std::string_view name) override;
  Result<ExportPtr> Find(uint32_t file_system, uint64_t number) override;
  std::vector<ExportPtr> FileSystems() override;

  struct AccessPoint {
    uint64_t number = 0;
    ExportPtr exported;  // null: not used yet
  };
  // Without using it. kNotFound: none of that name here.
  Result<AccessPoint> FindAccessPoint(uint32_t file_system, std::string_view name);
  // The names of a file system's access points, one after the other, until `visit` is true; whether
  // it was. No lock is held meanwhile: those that come or go may be missed, but names_generation
  // then tells.
  bool AnyAccessPoint(uint32_t file_system,
                      const std::function<bool(const std::string& name)>& visit);
  // Another one after any access point was added. Never 0.
  uint64_t names_generation() const { return names_generation_.load(std::memory_order_acquire); }
  // The name leads to the number, whose export may come later (at first use).
  void AddName(uint32_t file_system, const std::string& name, uint64_t number);
  void RemoveName(uint32_t file_system, const std::string& name);
  void Publish(ExportPtr entry);
  // Of a file system and its access points.
  void SetDelegations(uint32_t file_system, bool allowed);
  void Withdraw(uint32_t file_system, uint64_t number);
  void BindListener(uint64_t tag, uint32_t file_system);
  void UnbindListener(uint64_t tag);  // and its list

  // Who may connect to a listener; null: everybody, or nobody yet where this was called.
  using Allowed = std::shared_ptr<const std::vector<IpRange>>;
  void SetAllowed(uint64_t tag, Allowed allowed);
  void CloseWithoutList() { closed_ = true; }
  enum class Entry : uint8_t { kAllowed, kForbidden, kUndecided };
  // `address` nullopt: not known, which no list allows.
  Entry EntryOf(uint64_t tag, const std::optional<IpAddress>& address);
  bool MayConnect(uint64_t tag, const std::optional<IpAddress>& address) {
    return EntryOf(tag, address) == Entry::kAllowed;
  }

 private:
  static constexpr size_t kShards = 16;
  struct Key {
    uint32_t file_system;
    uint64_t number;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return (key.number * 0x9E3779B97F4A7C15u) ^ key.file_system;
    }
  };
  struct alignas(64) Shard {
    std::shared_mutex mutex;
    std::unordered_map<Key, ExportPtr, Hash> exports;
  };
  Shard& ShardOf(const Key& key) { return shards_[(Hash{}(key) >> 8) % kShards]; }

  FirstUse first_use_;
  std::array<Shard, kShards> shards_;
  // Names that AnyAccessPoint takes at a time.
  static constexpr size_t kNamesAtOnce = 64;
  std::vector<std::string> NamesAfter(uint32_t file_system, const std::string& last);

  std::atomic<uint64_t> names_generation_{1};
  std::shared_mutex names_mutex_;  // names, listeners, lists: asked once a mount
  std::map<std::pair<uint32_t, std::string>, uint64_t> names_;
  std::unordered_map<uint64_t, uint32_t> listeners_;
  std::unordered_map<uint64_t, Allowed> allowed_;  // by listener
  std::atomic<bool> closed_{false};
};

}  // namespace tarn::control
