// tarn-file-load: one client's load; see worker.h. Files in --host tell it how far the test is:
//   kill-N     the server was killed for the N-th time: every worker compares what it has
//   stop       workers finish; then the program writes "load-idle" into --state
// and in --state: "load-verify": the mount is there again; workers compare what they left.
// Writes its figures to HOST/figures-CLIENT every few seconds. Exit: 0 when nothing failed.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <thread>

#include "tests/kernel/load/worker.h"
#include "tests/kernel/load/workers.h"

namespace tarn::load {

std::vector<std::unique_ptr<Worker>> MakeWorkers(const Options& options) {
  std::vector<std::unique_ptr<Worker>> workers;
  auto seed = [&] {
    return (options.seed * 1000 + static_cast<uint64_t>(options.client)) * 100 + workers.size();
  };
  workers.push_back(std::make_unique<DataWorker>(options, "data-1", seed()));
  workers.push_back(std::make_unique<DataWorker>(options, "data-2", seed()));
  workers.push_back(std::make_unique<NameWorker>(options, "names", seed()));
  workers.push_back(std::make_unique<LockWorker>(options, "locks-1", seed()));
  workers.push_back(std::make_unique<LockWorker>(options, "locks-2", seed()));
  workers.push_back(std::make_unique<SharedWorker>(options, "shared", seed()));
  workers.push_back(std::make_unique<LargeWorker>(options, "large", seed()));
  return workers;
}

namespace {

using std::chrono::steady_clock;
constexpr auto kFiguresEvery = std::chrono::seconds(5);
constexpr auto kPoll = std::chrono::milliseconds(100);

bool Exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

void Touch(const std::string& path) {
  std::ofstream(path).flush();
}

struct Shared {  // by the processes
  static constexpr size_t kWorkersMax = 16;
  Figures figures[kWorkersMax];
  std::atomic<int> finished;
};

void RunSteps(Worker& worker, Figures& figures, const Options& options) {
  int kills = 0;
  while (!Exists(options.host + "/stop")) {
    auto begin = steady_clock::now();
    worker.Step();
    auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
    figures.steps.fetch_add(1, std::memory_order_relaxed);
    if (static_cast<uint64_t>(took.count()) > figures.longest_step_us) {
      figures.longest_step_us = took.count();
    }
    bool killed = false;
    while (Exists(options.host + "/kill-" + std::to_string(kills + 1))) {
      ++kills;
      killed = true;
    }
    if (killed) worker.Verify();
  }
}

void RunWorker(Worker& worker, Shared& shared, size_t number, const Options& options,
               const std::string& state) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Figures& figures = shared.figures[number];
  worker.set_figures(&figures);
  worker.Prepare();
  RunSteps(worker, figures, options);
  worker.Finish();
  ++shared.finished;
  while (!Exists(state + "/load-verify")) std::this_thread::sleep_for(kPoll);
  worker.VerifyAtEnd();
}

void WriteFigures(const Shared& shared, const std::vector<std::unique_ptr<Worker>>& workers,
                  const Options& options) {
  std::string path = options.host + "/figures-" + std::to_string(options.client);
  {
    std::ofstream out(path + ".new");
    for (size_t i = 0; i < workers.size(); ++i) {
      const Figures& figures = shared.figures[i];
      out << workers[i]->name() << " " << figures.steps << " " << figures.calls << " "
          << figures.synced_bytes << " " << figures.verified_bytes << " " << figures.longest_step_us
          << "\n";
    }
  }
  std::error_code ignored;
  std::filesystem::rename(path + ".new", path, ignored);
}

int Run(const Options& options, const std::string& state) {
  auto workers = MakeWorkers(options);
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  auto* shared = new (memory) Shared;
  for (size_t i = 0; i < workers.size(); ++i) {
    if (fork() == 0) {
      RunWorker(*workers[i], *shared, i, options, state);
      _exit(0);
    }
  }
  size_t running = workers.size();
  int failed = 0;
  auto next_figures = steady_clock::now();
  while (running > 0) {
    int status = 0;
    while (running > 0 && waitpid(-1, &status, WNOHANG) > 0) {
      --running;
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
      if (WIFSIGNALED(status)) std::cout << "ERROR a worker died: " << WTERMSIG(status) << "\n";
      ++failed;
    }
    if (shared->finished + failed == static_cast<int>(workers.size())) Touch(state + "/load-idle");
    if (steady_clock::now() >= next_figures) {
      WriteFigures(*shared, workers, options);
      next_figures += kFiguresEvery;
    }
    std::this_thread::sleep_for(kPoll);
  }
  WriteFigures(*shared, workers, options);
  Touch(state + "/load-idle");
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tarn::load

int main(int argc, char** argv) {
  tarn::load::Options options;
  std::string state;
  CLI::App app("One client's load of the soak of the kernel's NFS client");
  app.add_option("--mount", options.mount, "The file system that all clients mount")->required();
  app.add_option("--host", options.host, "A directory that all clients see without NFS")
      ->required();
  app.add_option("--state", state, "A directory of this client's own")->required();
  app.add_option("--client", options.client, "Number of this client, from 1");
  app.add_option("--clients", options.clients, "How many there are");
  app.add_option("--vers", options.version, "Version of the protocol");
  app.add_option("--seed", options.seed, "Decides what is done");
  CLI11_PARSE(app, argc, argv);
  return tarn::load::Run(options, state);
}
