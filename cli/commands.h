// The commands of tarnctl, as subcommands of a CLI::App. Each one that was chosen on the command
// line leaves its action in `chosen`.
#pragma once

#include <functional>
#include <iosfwd>

#include "common/result.h"

namespace CLI {
class App;
}

namespace tarn::cli {

class Session;

// The exit code of a command that could talk to the server: 0, or 1 when what it looked at is bad.
using Action = std::function<Result<int>(Session&)>;

void AddFileSystemCommands(CLI::App& app, Action& chosen);
void AddMountTargetCommands(CLI::App& app, Action& chosen);
void AddAccessPointCommands(CLI::App& app, Action& chosen);
void AddLifecycleCommands(CLI::App& app, Action& chosen);
void AddPolicyCommands(CLI::App& app, Action& chosen);
void AddTagCommands(CLI::App& app, Action& chosen);
void AddFsckCommand(CLI::App& app, Action& chosen);
void AddScrubCommand(CLI::App& app, Action& chosen);
void AddKeyCommands(CLI::App& app, Action& chosen);
void AddWhyNotCommand(CLI::App& app, Action& chosen);

// The whole program. 0: done; 1: it failed, or fsck or scrub found problems; 2: wrong usage.
int RunTarnctl(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace tarn::cli
