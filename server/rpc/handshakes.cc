#include "server/rpc/handshakes.h"

#include <algorithm>

#include "common/ip_address.h"
#include "server/rpc/connection.h"

namespace tarn::rpc {

Handshakes::Entries::iterator Handshakes::OldestToGo(const std::string& source, Time now) {
  auto found = std::ranges::find_if(
      entries_, [&source](const Entry& entry) { return source.empty() || entry.source == source; });
  bool may = found != entries_.end() && now - found->begun >= std::min(kSafe, limits_.timeout);
  return may ? found : entries_.end();
}

std::shared_ptr<Connection> Handshakes::TakeOut(Entries::iterator entry) {
  auto count = by_source_.find(entry->source);
  if (--count->second == 0) by_source_.erase(count);
  by_connection_.erase(entry->connection.get());
  std::shared_ptr<Connection> connection = std::move(entry->connection);
  entries_.erase(entry);
  return connection;
}

Handshakes::Begun Handshakes::Begin(std::shared_ptr<Connection> connection, Time now) {
  std::string source = HostOf(connection->peer().address);
  std::lock_guard lock(mutex_);
  Begun begun;
  auto count = by_source_.find(source);
  bool source_full = count != by_source_.end() && count->second >= limits_.per_address_max;
  if (source_full || entries_.size() >= limits_.all_max) {
    auto oldest = OldestToGo(source_full ? source : "", now);
    if (oldest == entries_.end()) return begun;
    begun.in_its_place_goes = TakeOut(oldest);
  }
  const Connection* key = connection.get();
  ++by_source_[source];
  by_connection_[key] =
      entries_.insert(entries_.end(), {std::move(connection), std::move(source), now});
  begun.ok = true;
  return begun;
}

bool Handshakes::End(const Connection& connection) {
  std::shared_ptr<Connection> gone;  // released after the lock
  std::lock_guard lock(mutex_);
  auto found = by_connection_.find(&connection);
  if (found == by_connection_.end()) return false;
  gone = TakeOut(found->second);
  return true;
}

std::vector<std::shared_ptr<Connection>> Handshakes::TakeLate(Time now) {
  std::vector<std::shared_ptr<Connection>> late;
  std::lock_guard lock(mutex_);
  while (!entries_.empty() && now - entries_.front().begun >= limits_.timeout) {
    late.push_back(TakeOut(entries_.begin()));
  }
  return late;
}

size_t Handshakes::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace tarn::rpc
