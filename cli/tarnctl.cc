#include <CLI/CLI.hpp>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/session.h"
#include "common/version.h"

namespace tarn::cli {
namespace {

void AddSettings(CLI::App& app, Settings& settings) {
  app.add_option("--server", settings.server,
                 std::string("Control API: unix:/path or host:port [") + kDefaultServer + "]")
      ->envname("TARN_SERVER");
  app.add_option("--tls-dir", settings.tls_dir,
                 "For host:port: directory with ca.crt, tls.crt and tls.key")
      ->envname("TARN_TLS_DIR");
  app.add_option("--output,-o", settings.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--timeout", settings.timeout_seconds,
                 "Seconds to wait for an answer [30; fsck: 3600]")
      ->check(CLI::Range(1, 86'400));
}

}  // namespace

int RunTarnctl(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  Settings settings;
  Action chosen;
  CLI::App app{"Manages Tarn file systems: what they are, who may reach them, how full they are"};
  app.name("tarnctl");
  app.set_version_flag("--version", std::string("tarnctl ") + kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  AddSettings(app, settings);
  AddFileSystemCommands(app, chosen);
  AddMountTargetCommands(app, chosen);
  AddAccessPointCommands(app, chosen);
  AddLifecycleCommands(app, chosen);
  AddPolicyCommands(app, chosen);
  AddTagCommands(app, chosen);
  AddFsckCommand(app, chosen);
  AddScrubCommand(app, chosen);
  AddKeyCommands(app, chosen);
  AddWhyNotCommand(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help, out, err);
  } catch (const CLI::ParseError& error) {
    err << "tarnctl: " << error.what() << "; --help lists commands and flags\n";
    return 2;
  }
  Session session(settings, out, err);
  auto done = chosen(session);
  if (done.ok()) return *done;
  err << "tarnctl: " << Explain(done.error()) << "\n";
  return 1;
}

}  // namespace tarn::cli
