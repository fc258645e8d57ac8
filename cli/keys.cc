// tarnctl key: list, check, rewrap.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

Result<pb::DescribeKeysResponse> Ask(Session& session, const std::string& name, bool check) {
  pb::DescribeKeysRequest request;
  request.set_name(name);
  request.set_check(check);
  return session.Call(&Stub::DescribeKeys, request);
}

Result<int> List(Session& session) {
  TRY(auto response, Ask(session, "", false));
  std::vector<const google::protobuf::Message*> messages;
  for (const auto& key : response.keys()) messages.push_back(&key);
  session.Show(messages, [&](std::ostream& out) {
    Table table({"KEY", "STATE", "VERSION", "FILE SYSTEMS", "LOCKED", "PLACE"});
    for (const auto& key : response.keys()) {
      table.Add({key.name() + (key.is_default() ? " (default)" : ""), key.state(),
                 OrDash(key.version()), std::to_string(key.number_of_file_systems()),
                 std::to_string(key.number_of_locked_file_systems()), key.place()});
    }
    if (table.empty()) {
      out << "no keys; start tarn-server with --key NAME=URI\n";
    } else {
      table.Print(out);
    }
  });
  return 0;
}

// 1: the key cannot be used.
Result<int> Check(Session& session, const std::string& name) {
  TRY(auto response, Ask(session, name, true));
  if (response.keys().empty()) return Error(Code::kNotFound, "no key " + name);
  const auto& key = response.keys(0);
  session.ShowOne(key, [&](std::ostream& out) {
    PrintFacts(out, {{"Key", key.name()},
                     {"State", key.state()},
                     {"Reason", key.status_message()},
                     {"Version", key.version()},
                     {"File systems", std::to_string(key.number_of_file_systems())},
                     {"Locked", std::to_string(key.number_of_locked_file_systems())},
                     {"Place", key.place()}});
  });
  return key.state() == "available" ? 0 : 1;
}

Result<int> Rewrap(Session& session, const std::string& id) {
  pb::RewrapDataKeyRequest request;
  request.set_file_system_id(id);
  TRY(auto fs, session.Call(&Stub::RewrapDataKey, request));
  session.ShowOne(fs, [&](std::ostream& out) {
    out << fs.file_system_id() << ": data key wrapped by version " << fs.kms_key_version()
        << " of key " << fs.kms_key_id() << "\n";
  });
  return 0;
}

}  // namespace

void AddKeyCommands(CLI::App& app, Action& chosen) {
  CLI::App* key = app.add_subcommand("key", "Customer-managed keys of encrypted file systems");
  key->require_subcommand(1);
  key->add_subcommand("list", "List the server's keys")->callback([&chosen] { chosen = List; });
  auto name = std::make_shared<std::string>();
  CLI::App* check = key->add_subcommand("check", "Ask a key's provider now");
  check->add_option("name", *name, "The key's name")->required();
  check->callback([name, &chosen] { chosen = [name](Session& s) { return Check(s, *name); }; });
  auto id = std::make_shared<std::string>();
  CLI::App* rewrap =
      key->add_subcommand("rewrap", "Wrap a data key by its key's newest version; writes no data");
  rewrap->add_option("id", *id, "fs-...")->required();
  rewrap->callback([id, &chosen] { chosen = [id](Session& s) { return Rewrap(s, *id); }; });
}

}  // namespace tarn::cli
