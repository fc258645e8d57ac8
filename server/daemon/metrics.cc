#include "server/daemon/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <filesystem>

#include "common/version.h"

namespace tarn::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Families {
 public:
  void Add(MetricType type, const char* name, const char* help, double value,
           std::vector<ClientMetric::Label> labels = {}) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({name, help, type, {}});
    }
    ClientMetric metric;
    metric.label = std::move(labels);
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    families_.back().metric.push_back(std::move(metric));
  }
  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

double OpenFiles() {
  std::error_code failed;
  std::filesystem::directory_iterator files("/proc/self/fd", failed);
  double count = 0;
  for (; !failed && files != std::filesystem::directory_iterator(); files.increment(failed))
    ++count;
  return count;
}

void AddUsage(Families& families, const Numbers& numbers) {
  for (const auto& fs : numbers.file_systems) {
    families.Add(MetricType::Gauge, "tarn_file_system_bytes", "Bytes stored in a file system.",
                 static_cast<double>(fs.usage.bytes), {{"file_system_id", fs.id}});
  }
  for (const auto& fs : numbers.file_systems) {
    families.Add(MetricType::Gauge, "tarn_file_system_files", "Files of a file system.",
                 static_cast<double>(fs.usage.files), {{"file_system_id", fs.id}});
  }
  for (const auto& fs : numbers.file_systems) {
    families.Add(MetricType::Gauge, "tarn_access_points", "Access points of a file system.",
                 static_cast<double>(fs.access_points), {{"file_system_id", fs.id}});
  }
}

void AddKeys(Families& families, const Numbers& numbers) {
  using State = control::KeyKeeper::KeyState;
  const auto add = [&](MetricType type, const char* name, const char* help, auto value) {
    for (const State& key : numbers.keys) {
      families.Add(type, name, help, static_cast<double>(value(key)), {{"key", key.name}});
    }
  };
  const auto counter = MetricType::Counter;
  const auto gauge = MetricType::Gauge;
  add(counter, "tarn_key_checks_total", "Times that a key's provider was asked for it.",
      [](const State& key) { return key.checks; });
  add(counter, "tarn_key_check_failures_total", "Of those, the ones that failed.",
      [](const State& key) { return key.failures; });
  add(counter, "tarn_key_unwraps_total", "Data keys that a provider was asked to unwrap.",
      [](const State& key) { return key.unwraps; });
  add(counter, "tarn_key_unwrap_failures_total", "Of those, the ones that failed.",
      [](const State& key) { return key.unwrap_failures; });
  add(counter, "tarn_key_rewraps_total", "Data keys wrapped again by a newer version.",
      [](const State& key) { return key.rewraps; });
  add(gauge, "tarn_key_available", "1 when the last check of a key went well.",
      [](const State& key) { return key.known && key.error.empty() ? 1 : 0; });
  add(gauge, "tarn_key_unavailable_seconds",
      "For how long a key's provider has been in trouble, or the key lost.",
      [](const State& key) { return key.unavailable_seconds; });
  add(gauge, "tarn_key_file_systems", "Encrypted file systems of a key.",
      [](const State& key) { return key.file_systems; });
  add(gauge, "tarn_key_locked_file_systems", "Of those, the ones that are locked.",
      [](const State& key) { return key.locked; });
}

void AddEngine(Families& families, const vfs::EngineCounters& engine) {
  const auto counter = MetricType::Counter;
  families.Add(counter, "tarn_blocks_verified_total",
               "Blocks of 4 KiB whose checksum was looked at.",
               static_cast<double>(engine.blocks_verified));
  families.Add(counter, "tarn_damaged_blocks_total",
               "Wrong checksums in files and in the database, each time one was seen.",
               static_cast<double>(engine.damaged));
  for (auto [call, errors] : {std::pair{"read", engine.read_errors},
                              {"write", engine.write_errors},
                              {"sync", engine.sync_errors}}) {
    families.Add(counter, "tarn_disk_errors_total",
                 "Calls that the disk failed, but for a full one.", static_cast<double>(errors),
                 {{"call", call}});
  }
}

void AddTls(Families& families, const rpc::ServerCounters& rpc) {
  const auto counter = MetricType::Counter;
  families.Add(MetricType::Gauge, "tarn_tls_connections",
               "Client connections that are open now and encrypted.",
               static_cast<double>(rpc.tls_connections));
  families.Add(MetricType::Gauge, "tarn_tls_handshakes_open", "TLS handshakes under way.",
               static_cast<double>(rpc.handshakes_open));
  families.Add(counter, "tarn_tls_handshakes_total", "TLS handshakes that were done.",
               static_cast<double>(rpc.handshakes_done));
  for (size_t i = 0; i < rpc::kHandshakeFailures; ++i) {
    families.Add(counter, "tarn_tls_handshakes_failed_total", "TLS handshakes that failed.",
                 static_cast<double>(rpc.handshakes_failed[i]),
                 {{"reason", std::string(NameOf(static_cast<rpc::HandshakeFailure>(i)))}});
  }
  families.Add(counter, "tarn_connections_turned_away_total",
               "Connections that were not admitted, or plain where TLS is required.",
               static_cast<double>(rpc.turned_away));
}

}  // namespace

std::string MetricsText(const Numbers& numbers) {
  const auto gauge = MetricType::Gauge;
  const auto counter = MetricType::Counter;
  auto value = [](auto number) { return static_cast<double>(number); };
  const rpc::ServerCounters& rpc = numbers.rpc;
  Families families;
  families.Add(gauge, "tarn_build_info", "The version that runs.", 1, {{"version", kVersion}});
  families.Add(gauge, "process_start_time_seconds", "Start of the process since 1970.",
               numbers.start_time);
  families.Add(gauge, "process_open_fds", "Open files.", OpenFiles());
  families.Add(gauge, "tarn_connections", "Client connections open now.", value(rpc.connections));
  AddTls(families, rpc);
  families.Add(counter, "tarn_connections_accepted_total", "Connections accepted.",
               value(rpc.accepted));
  families.Add(counter, "tarn_connections_refused_total", "Connections above the limit.",
               value(rpc.refused));
  families.Add(counter, "tarn_rpc_calls_total", "RPC calls served.", value(rpc.calls));
  families.Add(counter, "tarn_rpc_bad_records_total", "Records that were no RPC call.",
               value(rpc.bad_records));
  families.Add(counter, "tarn_received_bytes_total", "Bytes from clients.", value(rpc.bytes_in));
  families.Add(counter, "tarn_sent_bytes_total", "Bytes to clients.", value(rpc.bytes_out));
  families.Add(gauge, "tarn_nfs_clients", "NFS clients with a lease.", value(numbers.nfs_clients));
  families.Add(gauge, "tarn_nfs_state_bytes",
               "What clients' sessions, opens and locks take of memory, about.",
               value(numbers.nfs_state_bytes));
  families.Add(gauge, "tarn_nfs_state_bytes_max", "And may take.",
               value(numbers.nfs_state_bytes_max));
  families.Add(gauge, "tarn_nfs_in_grace", "1 while clients reclaim what they held.",
               numbers.in_grace ? 1 : 0);
  AddEngine(families, numbers.engine);
  AddUsage(families, numbers);
  AddKeys(families, numbers);
  return families.Text();
}

}  // namespace tarn::daemon
