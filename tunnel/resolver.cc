#include "tunnel/resolver.h"

#include <netdb.h>

#include <cstring>
#include <memory>

namespace tarn::tunnel {
namespace {

Result<Resolver::Addresses> Ask(const ServerAddress& server, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &found);
  if (failed != 0) {
    return Error(Code::kUnavailable, server.text + ": " + gai_strerror(failed));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  Resolver::Addresses addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (addresses.size() == Resolver::kAddressesMax) break;
    SocketAddress address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.bytes = one->ai_addrlen;
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace

Resolver::Resolver() {
  for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
}

Resolver::~Resolver() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Resolver::Resolve(const ServerAddress& server, Answer answer) {
  auto numeric = Ask(server, AI_NUMERICHOST | AI_NUMERICSERV);
  if (numeric.ok()) return answer(std::move(numeric));
  std::lock_guard lock(mutex_);
  if (names_.size() >= kNamesMax && !names_.contains(server.text)) {
    std::erase_if(names_, [](const auto& name) { return !name.second.asked; });
  }
  Name& name = names_[server.text];
  name.waiting.push_back(std::move(answer));
  if (name.asked) return;
  name.asked = true;
  questions_.push_back(server);
  wake_.notify_one();
}

void Resolver::Tell(const ServerAddress& server, Result<Addresses> found) {
  std::vector<Answer> waiting;
  {
    std::lock_guard lock(mutex_);
    Name& name = names_[server.text];
    name.asked = false;
    waiting.swap(name.waiting);
    if (found.ok()) name.last = *found;
    if (!found.ok() && !name.last.empty()) found = name.last;
  }
  for (Answer& answer : waiting) answer(found);
}

void Resolver::Work() {
  while (true) {
    ServerAddress server;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !questions_.empty(); });
      if (stop_) return;
      server = std::move(questions_.front());
      questions_.erase(questions_.begin());
    }
    Tell(server, Ask(server, AI_ADDRCONFIG));
  }
}

}  // namespace tarn::tunnel
