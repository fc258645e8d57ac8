// tarn-sim: runs simulations of the server from seeds.
//
//   tarn-sim --seed N [--print]         one seed, twice: it must replay (but see --faults)
//   tarn-sim --first N --seconds S      seeds from N on for so long
//   --faults            the disk of the local engine fails now and then
//   --log               with the server's own log
//   --steps N       events of a simulation (20,000)
//   --engine E      memory or local
//   --minors LIST   minor versions that clients speak, as 0,1
//
// Exit status 1: a seed failed. It is printed with what led to it.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/simulation.h"

namespace {

using namespace tarn::sim;

struct Arguments {
  Options options;
  uint64_t first = 1;
  uint64_t seconds = 0;
  bool log = false;
};

uint32_t Minors(const std::string& list) {
  uint32_t minors = 0;
  for (char digit : list) {
    if (digit >= '0' && digit < '0' + static_cast<int>(kMinors)) minors |= 1U << (digit - '0');
  }
  return minors;
}

bool ParseArguments(int count, char** values, Arguments& arguments) {
  for (int at = 1; at < count; ++at) {
    std::string name = values[at];
    if (name == "--print") {
      arguments.options.print = true;
      continue;
    }
    if (name == "--faults") {
      arguments.options.faults = true;
      continue;
    }
    if (name == "--log") {
      arguments.log = true;
      continue;
    }
    if (at + 1 == count) return false;
    std::string value = values[++at];
    uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--seed") {
      arguments.options.seed = number;
    } else if (name == "--first") {
      arguments.first = number;
    } else if (name == "--seconds") {
      arguments.seconds = number;
    } else if (name == "--steps") {
      arguments.options.steps = number;
    } else if (name == "--minors") {
      arguments.options.minors = Minors(value);
    } else if (name == "--engine" && (value == "memory" || value == "local")) {
      arguments.options.engine = value == "local" ? EngineKind::kLocal : EngineKind::kMemory;
    } else {
      return false;
    }
  }
  return arguments.options.minors != 0;
}

std::string Replay(const Options& options) {
  std::string minors;
  for (uint32_t minor = 0; minor < kMinors; ++minor) {
    if ((options.minors >> minor & 1) == 0) continue;
    minors += (minors.empty() ? "" : ",") + std::to_string(minor);
  }
  return "replay: tarn-sim --seed " + std::to_string(options.seed) + " --steps " +
         std::to_string(options.steps) + " --engine " +
         (options.engine == EngineKind::kLocal ? "local" : "memory") + " --minors " + minors +
         (options.faults ? " --faults" : "");
}

// A seed that ends the process, or hangs until somebody ends it, is named all the same.
constexpr int kEnds[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM};
struct sigaction actions_before[std::size(kEnds)];
char epitaph[512];
size_t epitaph_bytes = 0;

void OnEnd(int signal) {
  (void)!write(STDOUT_FILENO, epitaph, epitaph_bytes);
  for (size_t i = 0; i < std::size(kEnds); ++i) {
    if (kEnds[i] == signal) sigaction(signal, &actions_before[i], nullptr);
  }
  // The others happen again.
  if (signal == SIGABRT || signal == SIGTERM) raise(signal);
}

void NameSeedAtEnd(const Options& options) {
  std::string text = "\nFAILED seed " + std::to_string(options.seed) +
                     ": the process ended in it, or was ended\n" + Replay(options) + "\n";
  epitaph_bytes = text.copy(epitaph, sizeof(epitaph));
}

void WatchEnds() {
  struct sigaction action {};
  action.sa_handler = OnEnd;
  for (size_t i = 0; i < std::size(kEnds); ++i) sigaction(kEnds[i], &action, &actions_before[i]);
}

void PrintFailure(const Options& options, const Simulation& simulation) {
  constexpr size_t kShown = 60;
  const auto& lines = simulation.trace().lines();
  if (!options.print) {
    size_t from = lines.size() > kShown ? lines.size() - kShown : 0;
    for (size_t at = from; at < lines.size(); ++at) std::printf("%s\n", lines[at].c_str());
  }
  auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("FAILED seed %llu at step %llu: %s\n", number(options.seed),
              number(simulation.steps()), simulation.trace().failure().c_str());
  std::printf("%s\n", Replay(options).c_str());
}

void Add(Counts& total, const Counts& one) {
  total.executed += one.executed;
  total.again += one.again;
  total.kills += one.kills;
  total.killed_inside += one.killed_inside;
  total.breaks += one.breaks;
  total.reboots += one.reboots;
  total.reclaimed += one.reclaimed;
  total.lost += one.lost;
}

void Print(const Counts& counts) {
  auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu requests executed, %llu of them again; %llu server deaths, %llu of them inside a "
      "request; %llu connections broken; %llu client reboots; %llu opens reclaimed, %llu lost\n",
      number(counts.executed), number(counts.again), number(counts.kills),
      number(counts.killed_inside), number(counts.breaks), number(counts.reboots),
      number(counts.reclaimed), number(counts.lost));
}

bool RunOnce(const Options& options, Counts& total, uint64_t& hash) {
  NameSeedAtEnd(options);
  Simulation simulation(options);
  bool good = simulation.Run();
  if (!good) PrintFailure(options, simulation);
  Add(total, simulation.counts());
  hash = simulation.trace().hash();
  return good;
}

int RunSeed(const Options& options) {
  Counts total;
  uint64_t first = 0;
  uint64_t second = 0;
  bool good = RunOnce(options, total, first);
  Print(total);
  Options silent = options;
  silent.print = false;
  Simulation again(silent);
  (void)again.Run();
  second = again.trace().hash();
  std::printf("trace %016llx, again %016llx\n", static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(second));
  // The database recovers from errors in threads of its own, so that what is tried meanwhile may
  // differ.
  bool replays = first == second || options.faults;
  if (!replays) {
    std::printf("FAILED seed %llu does not replay\n",
                static_cast<unsigned long long>(options.seed));
  }
  return good && replays ? 0 : 1;
}

int RunFor(const Arguments& arguments) {
  auto begin = std::chrono::steady_clock::now();
  uint64_t passed = 0;
  uint64_t failed = 0;
  Counts total;
  Options options = arguments.options;
  for (options.seed = arguments.first;
       std::chrono::steady_clock::now() - begin < std::chrono::seconds(arguments.seconds);
       ++options.seed) {
    uint64_t hash = 0;
    ++(RunOnce(options, total, hash) ? passed : failed);
    std::fflush(stdout);
  }
  Print(total);
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!ParseArguments(count, values, arguments)) {
    std::fprintf(stderr, "tarn-sim: bad arguments; see the head of tests/sim/main.cc\n");
    return 2;
  }
  WatchEnds();
  spdlog::set_level(arguments.log ? spdlog::level::debug : spdlog::level::off);
  return arguments.seconds == 0 ? RunSeed(arguments.options) : RunFor(arguments);
}
