// tarnctl fs: create, list, show, update, delete.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "common/ids.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

std::string Throughput(const pb::FileSystemDescription& fs) {
  if (fs.throughput_mode() != "provisioned") return fs.throughput_mode();
  char text[64];
  std::snprintf(text, sizeof text, "provisioned, %g MiB/s", fs.provisioned_throughput_in_mibps());
  return text;
}

void ShowFileSystem(Session& session, const pb::FileSystemDescription& fs) {
  session.ShowOne(fs, [&](std::ostream& out) {
    std::vector<std::pair<std::string, std::string>> facts{
        {"File system", fs.file_system_id()},
        {"Name", fs.name()},
        {"State", fs.life_cycle_state()},
        {"Size", Bytes(fs.size_in_bytes().value())},
        {"Files", std::to_string(fs.files())},
        {"Mount targets", std::to_string(fs.number_of_mount_targets())},
        {"Throughput", Throughput(fs)},
        {"Performance", fs.performance_mode()},
        {"Zone", fs.availability_zone_name()},
        {"Created", Moment(fs.creation_time())},
        {"Creation token", fs.creation_token()},
        {"Encrypted", fs.encrypted() ? "yes" : "no"}};
    if (fs.encrypted()) {
      facts.emplace_back("Key", fs.kms_key_id());
      facts.emplace_back("Key version", fs.kms_key_version());
    }
    if (!fs.status_message().empty()) facts.emplace_back("Reason", fs.status_message());
    for (const auto& tag : fs.tags()) facts.emplace_back("Tag " + tag.key(), tag.value());
    PrintFacts(out, facts);
  });
}

Result<pb::FileSystemDescription> Find(Session& session, const std::string& id) {
  pb::DescribeFileSystemsRequest request;
  request.set_file_system_id(id);
  TRY(auto response, session.Call(&Stub::DescribeFileSystems, request));
  if (response.file_systems().empty()) return Error(Code::kNotFound, "no file system " + id);
  return response.file_systems(0);
}

Result<int> List(Session& session) {
  std::vector<pb::FileSystemDescription> all;
  TRY(ForEachPage([&](const std::string& token) -> Result<std::string> {
    pb::DescribeFileSystemsRequest request;
    request.set_marker(token);
    TRY(auto page, session.Call(&Stub::DescribeFileSystems, request));
    all.insert(all.end(), page.file_systems().begin(), page.file_systems().end());
    return page.next_marker();
  }));
  std::vector<const google::protobuf::Message*> messages;
  for (const auto& fs : all) messages.push_back(&fs);
  session.Show(messages, [&](std::ostream& out) {
    Table table({"FILE SYSTEM", "NAME", "STATE", "SIZE", "FILES", "MOUNT TARGETS", "THROUGHPUT"});
    for (const auto& fs : all) {
      table.Add({fs.file_system_id(), OrDash(fs.name()), fs.life_cycle_state(),
                 Bytes(fs.size_in_bytes().value()), std::to_string(fs.files()),
                 std::to_string(fs.number_of_mount_targets()), Throughput(fs)});
    }
    if (table.empty()) {
      out << "no file systems; tarnctl fs create makes one\n";
    } else {
      table.Print(out);
    }
  });
  return 0;
}

void AddCreate(CLI::App& fs, Action& chosen) {
  struct Flags {
    pb::CreateFileSystemRequest request;
    std::string name;
    std::vector<std::string> tags;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* create = fs.add_subcommand("create", "Make a file system");
  auto text = [&](const char* flag, auto set, const char* help) {
    create->add_option_function<std::string>(
        flag, [flags, set](const std::string& value) { (flags->request.*set)(value); }, help);
  };
  using R = pb::CreateFileSystemRequest;
  text("--token", static_cast<void (R::*)(const std::string&)>(&R::set_creation_token),
       "Creation token: the same token gives the same file system");
  text("--id", static_cast<void (R::*)(const std::string&)>(&R::set_file_system_id),
       "Its id (fs-...), instead of a new one");
  text("--performance-mode", static_cast<void (R::*)(const std::string&)>(&R::set_performance_mode),
       "generalPurpose or maxIO");
  text("--throughput-mode", static_cast<void (R::*)(const std::string&)>(&R::set_throughput_mode),
       "elastic, bursting or provisioned");
  text("--zone", static_cast<void (R::*)(const std::string&)>(&R::set_availability_zone_name),
       "One Zone: the zone it lives in");
  create->add_option_function<double>(
      "--provisioned",
      [flags](double mibps) { flags->request.set_provisioned_throughput_in_mibps(mibps); },
      "MiB/s of throughput mode provisioned");
  auto* encrypted = create->add_flag_callback(
      "--encrypted", [flags] { flags->request.set_encrypted(true); },
      "Encrypt it at rest, for ever; with the server's default key, or that of --key");
  create
      ->add_option_function<std::string>(
          "--key", [flags](const std::string& name) { flags->request.set_kms_key_id(name); },
          "With --encrypted: one of the server's keys (tarnctl key list)")
      ->needs(encrypted);
  create->add_option("--name", flags->name, "Its tag Name");
  create->add_option("--tag", flags->tags, "KEY=VALUE; may be repeated");
  create->callback([flags, &chosen] {
    chosen = [flags](Session& session) -> Result<int> {
      auto& request = flags->request;
      // Without a token each call makes one more; a token is 64 characters at most.
      if (request.creation_token().empty()) request.set_creation_token(MintId("tarnctl-"));
      if (!flags->name.empty()) flags->tags.push_back("Name=" + flags->name);
      for (const std::string& word : flags->tags) {
        TRY(auto tag, ParseTag(word));
        auto& added = *request.add_tags();
        added.set_key(tag.first);
        added.set_value(tag.second);
      }
      TRY(auto made, session.Call(&Stub::CreateFileSystem, request));
      ShowFileSystem(session, made);
      return 0;
    };
  });
}

void AddUpdate(CLI::App& fs, Action& chosen) {
  auto request = std::make_shared<pb::UpdateFileSystemRequest>();
  CLI::App* update = fs.add_subcommand("update", "Change the throughput");
  update
      ->add_option_function<std::string>(
          "id", [request](const std::string& id) { request->set_file_system_id(id); }, "fs-...")
      ->required();
  update->add_option_function<std::string>(
      "--throughput-mode", [request](const std::string& m) { request->set_throughput_mode(m); },
      "elastic, bursting or provisioned");
  update->add_option_function<double>(
      "--provisioned", [request](double m) { request->set_provisioned_throughput_in_mibps(m); },
      "MiB/s of throughput mode provisioned");
  update->callback([request, &chosen] {
    chosen = [request](Session& session) -> Result<int> {
      TRY(auto now, session.Call(&Stub::UpdateFileSystem, *request));
      ShowFileSystem(session, now);
      return 0;
    };
  });
}

void AddDelete(CLI::App& fs, Action& chosen) {
  auto id = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  CLI::App* remove = fs.add_subcommand("delete", "Delete a file system with all its data");
  remove->add_option("id", *id, "fs-...")->required();
  remove->add_flag("--yes", *yes, "Also when it has files");
  remove->callback([id, yes, &chosen] {
    chosen = [id, yes](Session& session) -> Result<int> {
      TRY(auto found, Find(session, *id));
      if (found.files() > 1 && !*yes) {
        return Error(Code::kInvalid, *id + " has " + std::to_string(found.files() - 1) +
                                         " files, " + Bytes(found.size_in_bytes().value()) +
                                         ": add --yes to delete them");
      }
      pb::DeleteFileSystemRequest request;
      request.set_file_system_id(*id);
      TRY(session.Call(&Stub::DeleteFileSystem, request));
      if (!session.json()) session.out() << *id << " deleted\n";
      return 0;
    };
  });
}

}  // namespace

void AddFileSystemCommands(CLI::App& app, Action& chosen) {
  CLI::App* fs = app.add_subcommand("fs", "File systems");
  fs->require_subcommand(1);
  AddCreate(*fs, chosen);
  fs->add_subcommand("list", "List all")->callback([&chosen] { chosen = List; });
  auto id = std::make_shared<std::string>();
  CLI::App* show = fs->add_subcommand("show", "Show one");
  show->add_option("id", *id, "fs-...")->required();
  show->callback([id, &chosen] {
    chosen = [id](Session& session) -> Result<int> {
      TRY(auto found, Find(session, *id));
      ShowFileSystem(session, found);
      return 0;
    };
  });
  AddUpdate(*fs, chosen);
  AddDelete(*fs, chosen);
}

}  // namespace tarn::cli
