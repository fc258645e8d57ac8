// FairBound: a bound on what the server holds for its tenants together, and a fair part of it for
// each.
//
// A tenant may take more while it holds less than three times what is left. So one alone gets three
// quarters of all; beside one that holds all it may, the next gets three quarters of the rest; and
// who holds little gets more as long as anything is left. Nothing is set aside for anybody
// (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
//
// Threads: any. Calls at the same time may go beyond the bound by what they take.
#pragma once

#include <atomic>
#include <cstddef>

namespace tarn {

class FairBound {
 public:
  static constexpr size_t kTimesWhatIsLeft = 3;
  using Part = std::atomic<size_t>;  // what one tenant holds

  enum class Rule {
    kFair,
    // After a restart, when it is not known yet what there will be:
    kReturning,  // what it held before; three quarters at most
    kEarly,      // who held nothing gets of one quarter only
  };

  explicit FairBound(size_t max) : max_(max) {}
  FairBound(const FairBound&) = delete;
  FairBound& operator=(const FairBound&) = delete;

  bool MayTake(const Part& part, size_t amount, Rule rule = Rule::kFair) const {
    size_t before = held();
    if (before > max_ || amount > max_ - before) return false;
    size_t times = part.load(std::memory_order_relaxed) / kTimesWhatIsLeft;
    if (rule == Rule::kReturning) return times < max_ / (kTimesWhatIsLeft + 1);
    if (rule == Rule::kEarly && before > max_ / (kTimesWhatIsLeft + 1)) return false;
    return times < max_ - before;
  }
  // False: nothing is taken.
  bool Take(Part& part, size_t amount, Rule rule = Rule::kFair) {
    if (!MayTake(part, amount, rule)) return false;
    TakeAnyway(part, amount);
    return true;
  }
  // What is there already, as after a restart.
  void TakeAnyway(Part& part, size_t amount) {
    held_.fetch_add(amount, std::memory_order_relaxed);
    part.fetch_add(amount, std::memory_order_relaxed);
  }
  void Give(Part& part, size_t amount) {
    held_.fetch_sub(amount, std::memory_order_relaxed);
    part.fetch_sub(amount, std::memory_order_relaxed);
  }
  bool tight() const { return held() > max_ / 2; }
  // It has got more than is left, or all have got nearly everything.
  bool MoreThanIsLeft(const Part& part) const {
    size_t now = held();
    return now > max_ || part.load(std::memory_order_relaxed) > max_ - now;
  }
  size_t held() const { return held_.load(std::memory_order_relaxed); }
  size_t max() const { return max_; }

 private:
  const size_t max_;
  std::atomic<size_t> held_{0};
};

}  // namespace tarn
