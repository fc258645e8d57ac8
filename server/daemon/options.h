// The command line of tarn-server (docs/programs.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::daemon {

struct HostPort {
  std::string host;  // numeric, without brackets
  uint16_t port = 0;
  std::string Text() const;
};

struct Owner {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// TLS on the NFS listeners.
enum class TlsUse { kOff, kOptional, kRequired };

struct Options {
  std::string data_dir;
  std::string engine = "local";  // or "memory": nothing outlives the process; for tests
  HostPort listen{"0.0.0.0", 2049};
  std::string file_system_id;
  std::string control_socket;  // filled in: DATA_DIR/control.sock
  std::string control_listen;
  std::string control_tls_dir;
  std::string tls_dir;
  TlsUse tls = TlsUse::kOff;
  std::string token_issuers;
  std::string access_keys;
  bool closed = false;  // without security groups nobody connects
  std::string user_groups;
  std::string http_listen;
  std::chrono::seconds lease{30};
  std::chrono::hours scrub_every{0};    // 0: only when asked
  uint64_t scrub_bytes_per_second = 0;  // filled in
  std::vector<std::string> keys;        // NAME=URI
  std::string default_key;
  std::string file_system_key;                  // of file_system_id, when it is made
  std::chrono::seconds key_unavailable_max{0};  // 0: as long as the process lives
  std::chrono::seconds key_check_every{15};
  std::optional<Owner> prepare_data_dir;
  std::string log_level = "info";
  bool no_syscall_filter = false;
  std::string audit_log;  // empty: part of the log
};

// What to do: run with these options, or print `text` and exit with 0 (--help, --version).
struct Command {
  Options options;
  std::optional<std::string> text;
};

// kInvalid: one line that names the flag at fault and the fix.
Result<Command> ParseCommandLine(int argc, const char* const* argv);

// "ADDR:PORT" or "[V6]:PORT", ADDR numeric. kInvalid names `flag`.
Result<HostPort> ParseHostPort(const std::string& flag, const std::string& text);

}  // namespace tarn::daemon
