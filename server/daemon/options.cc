#include "server/daemon/options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "common/grpc/endpoint.h"
#include "common/ids.h"
#include "common/ip_address.h"
#include "common/text.h"
#include "common/version.h"

namespace tarn::daemon {
namespace {

constexpr int kLeaseSecondsMin = 1;
constexpr int kLeaseSecondsMax = 3600;
constexpr int64_t kScrubHoursMax = 8760;
constexpr int64_t kScrubMibMax = 100'000;
constexpr int64_t kKeyCheckSecondsMax = 30;
constexpr int64_t kKeyMinutesMax = 525'600;

template <typename Number>
bool ParseNumber(std::string_view text, Number& number) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size() && !text.empty();
}

Result<Owner> ParseOwner(const std::string& text) {
  Owner owner;
  size_t colon = text.find(':');
  if (colon == std::string::npos || !ParseNumber(text.substr(0, colon), owner.uid) ||
      !ParseNumber(text.substr(colon + 1), owner.gid)) {
    return Error(Code::kInvalid, "--prepare-data-dir '" + text + "': write UID:GID in digits");
  }
  return owner;
}

// What the flags say, before they are looked at together.
struct Raw {
  std::string listen = "0.0.0.0:2049";
  std::string prepare;
  std::string tls;
  std::string network = "open";
  int64_t lease = 30;
  int64_t scrub_hours = 0;
  int64_t scrub_mib = 64;
  int64_t key_unavailable_minutes = 0;
  int64_t key_check_seconds = 15;
};

void AddKeyFlags(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--key", options.keys,
                 "NAME=URI of a key for encryption at rest: file:///DIR, kmsv2:unix:///SOCKET or "
                 "vault-transit:https://HOST:PORT/MOUNT/keys/NAME?token-file=FILE; repeatable");
  app.add_option("--default-key", options.default_key,
                 "The key of encrypted file systems that name none [the only one]");
  app.add_option("--file-system-key", options.file_system_key,
                 "Encrypt the file system of --file-system-id with this key when it is made");
  app.add_option("--key-check-every", raw.key_check_seconds,
                 "Seconds between two checks of a key; each file system's, twice that")
      ->capture_default_str();
  app.add_option("--key-unavailable-max", raw.key_unavailable_minutes,
                 "Minutes to serve on while a key's provider cannot be reached; 0: for as long as "
                 "the process lives")
      ->capture_default_str();
}

void AddFlags(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--data-dir", options.data_dir,
                 "Directory of the database and the chunk files; one process owns it");
  app.add_option("--engine", options.engine,
                 "Storage engine: local, or memory (nothing outlives the process; for tests)")
      ->capture_default_str();
  app.add_option("--listen", raw.listen, "ADDR:PORT of the default NFS listener")
      ->capture_default_str();
  app.add_option("--file-system-id", options.file_system_id,
                 "File system (fs-...) behind the default listener; made when it is not there");
  app.add_option("--control-socket", options.control_socket,
                 "Unix socket of the control API [DATA_DIR/control.sock]");
  app.add_option("--control-listen", options.control_listen,
                 "ADDR:PORT of the control API with mutual TLS");
  app.add_option("--control-tls-dir", options.control_tls_dir,
                 "Directory with ca.crt, tls.crt and tls.key; re-read when they change");
  app.add_option("--tls-dir", options.tls_dir,
                 "Directory with ca.crt, tls.crt and tls.key of the NFS listeners; re-read when "
                 "they change");
  app.add_option("--tls", raw.tls,
                 "off, optional (plain NFS too) or required, on the NFS listeners [optional with "
                 "--tls-dir, else off]");
  app.add_option("--token-issuers", options.token_issuers,
                 "File with the issuers of the ServiceAccount tokens that count; re-read when it "
                 "changes");
  app.add_option("--access-keys", options.access_keys,
                 "File with the access keys whose signatures (SigV4) in client certificates count; "
                 "re-read when it changes");
  app.add_option("--network", raw.network,
                 "open, or closed: who may connect to a mount target without security groups")
      ->capture_default_str();
  app.add_option("--user-groups", options.user_groups,
                 "File with the groups of users, which count instead of those that NFS calls say; "
                 "re-read when it changes");
  app.add_option("--http-listen", options.http_listen,
                 "ADDR:PORT of /healthz, /readyz and /metrics");
  app.add_option("--lease", raw.lease, "NFS lease in seconds")->capture_default_str();
  app.add_option("--scrub-every", raw.scrub_hours,
                 "Hours between two scrubs of all data; 0: only with tarnctl scrub")
      ->capture_default_str();
  app.add_option("--scrub-rate", raw.scrub_mib, "What a scrub reads at most, in MiB a second")
      ->capture_default_str();
  AddKeyFlags(app, options, raw);
  app.add_option("--prepare-data-dir", raw.prepare,
                 "UID:GID: make --data-dir, give it and all in it to that owner, and exit");
  app.add_option("--audit-log", options.audit_log,
                 "File for the audit lines, rotated by size [they are part of the log]");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn or error")
      ->capture_default_str();
  app.add_flag("--no-syscall-filter", options.no_syscall_filter,
               "Let this process make any system call; for tools that need to look into it");
}

Result<void> CheckControl(Options& options) {
  if (options.control_socket.empty()) options.control_socket = options.data_dir + "/control.sock";
  auto socket = rpcs::NormaliseEndpoint(options.control_socket);
  if (!socket.ok() || rpcs::SocketPath(*socket).empty()) {
    return Error(Code::kInvalid,
                 "--control-socket: " +
                     (socket.ok() ? "'" + options.control_socket + "' must be an absolute path"
                                  : socket.error().message()));
  }
  if (options.control_listen.empty() && !options.control_tls_dir.empty()) {
    return Error(Code::kInvalid, "--control-tls-dir needs --control-listen ADDR:PORT");
  }
  if (options.control_listen.empty()) return Ok();
  TRY(ParseHostPort("--control-listen", options.control_listen));
  if (options.control_tls_dir.empty()) {
    return Error(Code::kInvalid,
                 "--control-listen needs --control-tls-dir: the control API has mutual TLS only");
  }
  return Ok();
}

Result<void> CheckTls(Options& options, const std::string& tls) {
  if (tls.empty()) {
    options.tls = options.tls_dir.empty() ? TlsUse::kOff : TlsUse::kOptional;
  } else if (tls == "off") {
    options.tls = TlsUse::kOff;
  } else if (tls == "optional") {
    options.tls = TlsUse::kOptional;
  } else if (tls == "required") {
    options.tls = TlsUse::kRequired;
  } else {
    return Error(Code::kInvalid, "--tls '" + tls + "': use off, optional or required");
  }
  if (options.tls != TlsUse::kOff && options.tls_dir.empty()) {
    return Error(Code::kInvalid, "--tls " + tls + " needs --tls-dir DIR with the certificate");
  }
  return Ok();
}

Result<void> CheckKeys(Options& options, const Raw& raw) {
  if (!options.default_key.empty() && options.keys.empty()) {
    return Error(Code::kInvalid, "--default-key needs --key NAME=URI");
  }
  if (!options.file_system_key.empty() && options.file_system_id.empty()) {
    return Error(Code::kInvalid, "--file-system-key needs --file-system-id fs-...");
  }
  if (raw.key_check_seconds < 1 || raw.key_check_seconds > kKeyCheckSecondsMax) {
    return Error(Code::kInvalid, "--key-check-every " + std::to_string(raw.key_check_seconds) +
                                     ": use 1 to 30 seconds, so that a lost key locks within a "
                                     "minute");
  }
  if (raw.key_unavailable_minutes < 0 || raw.key_unavailable_minutes > kKeyMinutesMax) {
    return Error(Code::kInvalid, "--key-unavailable-max " +
                                     std::to_string(raw.key_unavailable_minutes) +
                                     ": use 0 (no end) to 525600 minutes");
  }
  options.key_check_every = std::chrono::seconds{raw.key_check_seconds};
  options.key_unavailable_max = std::chrono::minutes{raw.key_unavailable_minutes};
  return Ok();
}

Result<void> Check(Options& options, const Raw& raw) {
  if (options.data_dir.empty()) {
    return Error(Code::kInvalid,
                 "--data-dir is missing: name a directory on the disk for the data");
  }
  if (!options.data_dir.starts_with('/')) {
    return Error(Code::kInvalid, "--data-dir '" + options.data_dir + "' must be an absolute path");
  }
  if (!raw.prepare.empty()) {
    TRY(options.prepare_data_dir, ParseOwner(raw.prepare));
    return Ok();
  }
  if (options.engine != "local" && options.engine != "memory") {
    return Error(Code::kInvalid, "--engine '" + options.engine + "': use local or memory");
  }
  TRY(options.listen, ParseHostPort("--listen", raw.listen));
  if (!options.file_system_id.empty() && !IsId(kFileSystemPrefix, options.file_system_id)) {
    return Error(Code::kInvalid, "--file-system-id '" + options.file_system_id +
                                     "': it must be fs- and 8 to 40 lower-case hex digits");
  }
  TRY(CheckControl(options));
  TRY(CheckTls(options, raw.tls));
  TRY(CheckKeys(options, raw));
  if (raw.network != "open" && raw.network != "closed") {
    return Error(Code::kInvalid, "--network '" + raw.network + "': use open or closed");
  }
  options.closed = raw.network == "closed";
  if (!options.http_listen.empty()) {
    TRY(HostPort http, ParseHostPort("--http-listen", options.http_listen));
    options.http_listen = http.Text();
  }
  if (raw.lease < kLeaseSecondsMin || raw.lease > kLeaseSecondsMax) {
    return Error(Code::kInvalid,
                 "--lease " + std::to_string(raw.lease) + ": use 1 to 3600 seconds");
  }
  options.lease = std::chrono::seconds{raw.lease};
  if (raw.scrub_hours < 0 || raw.scrub_hours > kScrubHoursMax) {
    return Error(Code::kInvalid, "--scrub-every " + std::to_string(raw.scrub_hours) +
                                     ": use 0 (never) to 8760 hours");
  }
  if (raw.scrub_mib < 1 || raw.scrub_mib > kScrubMibMax) {
    return Error(Code::kInvalid, "--scrub-rate " + std::to_string(raw.scrub_mib) +
                                     ": use 1 to 100000 MiB a second");
  }
  options.scrub_every = std::chrono::hours{raw.scrub_hours};
  options.scrub_bytes_per_second = static_cast<uint64_t>(raw.scrub_mib) << 20;
  return Ok();
}

}  // namespace

std::string HostPort::Text() const {
  return JoinHostPort(host, port);
}

Result<HostPort> ParseHostPort(const std::string& flag, const std::string& text) {
  HostPort parsed;
  size_t colon = text.rfind(':');
  if (colon != std::string::npos) parsed.host = text.substr(0, colon);
  bool bracketed =
      parsed.host.size() > 2 && parsed.host.front() == '[' && parsed.host.back() == ']';
  if (bracketed) parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  bool bare_v6 = !bracketed && parsed.host.find(':') != std::string::npos;
  if (colon == std::string::npos || bare_v6 || !IpAddress::Parse(parsed.host) ||
      !ParseNumber(std::string_view(text).substr(colon + 1), parsed.port)) {
    return Error(Code::kInvalid, flag + " '" + text +
                                     "': write ADDR:PORT with a numeric address, such as "
                                     "0.0.0.0:2049 or [::]:2049");
  }
  return parsed;
}

// CLI11 tells of errors by exceptions; they end here.
Result<Command> ParseCommandLine(int argc, const char* const* argv) {
  Command command;
  Raw raw;
  CLI::App app{"The Tarn file server: NFS 4.0 and 4.1, with a control API like that of EFS"};
  app.name("tarn-server");
  app.set_version_flag("--version", std::string("tarn-server ") + kVersion);
  AddFlags(app, command.options, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    command.text = app.help();
    return command;
  } catch (const CLI::CallForVersion&) {
    command.text = std::string("tarn-server ") + kVersion + "\n";
    return command;
  } catch (const CLI::ParseError& error) {
    return Error(Code::kInvalid, std::string(error.what()) + "; --help lists the flags");
  }
  TRY(Check(command.options, raw));
  return command;
}

}  // namespace tarn::daemon
