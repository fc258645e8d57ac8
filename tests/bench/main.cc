// tarn-bench: a load generator that speaks NFS 4.1 itself, to measure a server without a client's
// cache in between.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "common/version.h"
#include "tests/bench/special.h"
#include "tests/bench/workloads.h"

namespace {

using tarn::bench::Totals;

void PrintLine(const std::string& name, const Totals& totals, bool json) {
  double seconds = totals.seconds > 0 ? totals.seconds : 1e-9;
  double rate = static_cast<double>(totals.operations) / seconds;
  double mib = static_cast<double>(totals.bytes) / seconds / (1 << 20);
  auto operations = static_cast<unsigned long long>(totals.operations);
  if (json) {
    std::printf(
        "{\"workload\": \"%s\", \"operations\": %llu, \"seconds\": %.3f, \"per_second\": %.0f, "
        "\"mib_per_second\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"client_cpu\": %.3f, "
        "\"first_tenth_per_second\": %.0f, \"last_tenth_per_second\": %.0f}\n",
        name.c_str(), operations, totals.seconds, rate, mib, totals.Percentile(0.5),
        totals.Percentile(0.99), totals.client_processor_seconds, totals.TenthPerSecond(false),
        totals.TenthPerSecond(true));
  } else {
    std::printf("%-10s %9llu ops %8.3f s %10.0f /s %9.1f MiB/s  p50 %6u us  p99 %6u us\n",
                name.c_str(), operations, totals.seconds, rate, mib, totals.Percentile(0.5),
                totals.Percentile(0.99));
  }
  std::fflush(stdout);
}

// "ADDRESS:PORT"; false when it is not.
bool SplitServer(const std::string& server, tarn::nfs_client::ClientOptions& options) {
  size_t colon = server.rfind(':');
  if (colon == std::string::npos) return false;
  options.address = server.substr(0, colon);
  int port = std::atoi(server.c_str() + colon + 1);
  options.port = static_cast<uint16_t>(port);
  return port > 0 && port < 65'536;
}

// PEM files named on the command line.
struct TlsFiles {
  std::string ca, certificate, key;
  bool rpc_with_tls = false;
};

bool ReadFile(const std::string& path, std::string& text) {
  if (path.empty()) return true;
  std::ifstream in(path);
  std::ostringstream all;
  bool ok = static_cast<bool>(all << in.rdbuf());
  text = all.str();
  return ok;
}

bool ReadTls(const TlsFiles& files, tarn::nfs_client::ClientOptions& options) {
  if (files.ca.empty()) return true;
  auto& tls = options.tls.emplace();
  tls.rpc_with_tls = files.rpc_with_tls;
  return ReadFile(files.ca, tls.ca_pem) && ReadFile(files.certificate, tls.certificate_pem) &&
         ReadFile(files.key, tls.key_pem);
}

int RunAll(const std::vector<std::string>& names, tarn::bench::RunOptions run,
           const tarn::bench::WorkloadOptions& workload, double seconds, bool json) {
  const std::string owner = run.client.owner;
  int runs = 0;
  for (const std::string& name : names) {
    auto known =
        std::ranges::find(tarn::bench::WorkloadNames(), name, &tarn::bench::WorkloadName::name);
    if (known == tarn::bench::WorkloadNames().end()) {
      std::fprintf(stderr, "tarn-bench: no workload '%s'; --help lists them\n", name.c_str());
      return 2;
    }
    run.client.owner = owner + "-" + std::to_string(++runs);
    run.duration = std::chrono::milliseconds(known->timed ? std::llround(seconds * 1000) : 0);
    Totals totals = tarn::bench::Run(
        run, [&](uint32_t thread) { return tarn::bench::Make(name, workload, thread); });
    if (!totals.ok) {
      std::fprintf(stderr, "tarn-bench: %s: %s\n", name.c_str(), totals.problem.c_str());
      return 1;
    }
    PrintLine(name, totals, json);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string server = "127.0.0.1:2049";
  std::vector<std::string> names;
  tarn::bench::RunOptions run;
  tarn::bench::WorkloadOptions workload;
  double seconds = 5;
  std::string local_file;
  TlsFiles tls;
  bool json = false;
  std::string about = "Measures an NFS 4.1 server. Workloads:\n";
  for (const auto& known : tarn::bench::WorkloadNames()) {
    about += "  " + std::string(known.name) + ": " + std::string(known.about) + "\n";
  }
  about +=
      "  idle: --connections clients that say nothing, until the input ends\n"
      "  comeback: --connections clients with an open file each, over a restart of the server\n"
      "  tcp: a plain TCP copy of --local-file, --file-bytes in all\n";
  CLI::App app(about, "tarn-bench");
  app.set_version_flag("--version", std::string(tarn::kVersion));
  app.add_option("workloads", names, "what to run, in order")->required();
  app.add_option("--server", server, "ADDRESS:PORT, numeric")->capture_default_str();
  app.add_option("--path", workload.path, "directory to work in, from the server's root");
  app.add_option("--directory", workload.directory, "made there, for all that is made")
      ->capture_default_str();
  app.add_option("--local-file", local_file, "of tcp");
  app.add_option("--connections", run.connections, "a thread each")->capture_default_str();
  app.add_option("--depth", run.depth, "requests under way on each")->capture_default_str();
  app.add_option("--seconds", seconds, "of what runs for a while")->capture_default_str();
  app.add_option("--files", workload.files, "of create, stat, remove")->capture_default_str();
  app.add_option("--files-per-directory", workload.files_per_directory, "0: all in one")
      ->capture_default_str();
  app.add_option("--small-bytes", workload.small_bytes, "in each")->capture_default_str();
  app.add_option("--file-bytes", workload.file_bytes, "of read and write")->capture_default_str();
  app.add_option("--io-bytes", workload.io_bytes, "of one READ or WRITE")->capture_default_str();
  app.add_flag("--sync", workload.sync, "WRITE with FILE_SYNC4");
  app.add_option("--tls-ca", tls.ca, "PEM file: speak TLS to a server that it has signed");
  app.add_option("--tls-cert", tls.certificate, "PEM file: the client's certificate");
  app.add_option("--tls-key", tls.key, "PEM file: its key");
  app.add_flag("--rpc-with-tls", tls.rpc_with_tls, "begin in the clear and ask for TLS (RFC 9289)");
  app.add_flag("--json", json, "a JSON object a line");
  CLI11_PARSE(app, argc, argv);
  if (!SplitServer(server, run.client) || run.connections == 0 || run.depth == 0 ||
      workload.io_bytes == 0 || workload.file_bytes < workload.io_bytes) {
    std::fprintf(stderr,
                 "tarn-bench: --server wants ADDRESS:PORT; counts and sizes must not be 0, "
                 "and --io-bytes not above --file-bytes\n");
    return 2;
  }
  if (!ReadTls(tls, run.client)) {
    std::fprintf(stderr, "tarn-bench: --tls-ca, --tls-cert, --tls-key: cannot read the file\n");
    return 2;
  }
  workload.connections = run.connections;
  run.client.owner = "tarn-bench-" + std::to_string(getpid());
  if (names[0] == "tcp") return tarn::bench::CopyOverTcp(local_file, workload.file_bytes);
  if (names[0] == "idle") {
    return tarn::bench::HoldIdle(run.client, run.connections, workload.path);
  }
  if (names[0] == "comeback") {
    return tarn::bench::ComeBack(run.client, run.connections, workload.path);
  }
  return RunAll(names, run, workload, seconds, json);
}
