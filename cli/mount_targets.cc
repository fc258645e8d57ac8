// tarnctl mt: create, list, show, security-groups, delete.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

std::string Address(const pb::MountTargetDescription& target) {
  bool v6 = target.ip_address().find(':') != std::string::npos;
  return (v6 ? "[" + target.ip_address() + "]" : target.ip_address()) + ":" +
         std::to_string(target.port());
}

void ShowTarget(Session& session, const pb::MountTargetDescription& target) {
  session.ShowOne(target, [&](std::ostream& out) {
    PrintFacts(out, {{"Mount target", target.mount_target_id()},
                     {"File system", target.file_system_id()},
                     {"State", target.life_cycle_state()},
                     {"Reason", target.status_message()},
                     {"Address", Address(target)},
                     {"Zone", target.availability_zone_name()}});
  });
}

Result<void> Append(Session& session, const std::string& fs,
                    std::vector<pb::MountTargetDescription>& all) {
  return ForEachPage([&](const std::string& token) -> Result<std::string> {
    pb::DescribeMountTargetsRequest request;
    request.set_file_system_id(fs);
    request.set_marker(token);
    TRY(auto page, session.Call(&Stub::DescribeMountTargets, request));
    all.insert(all.end(), page.mount_targets().begin(), page.mount_targets().end());
    return page.next_marker();
  });
}

Result<int> List(Session& session, const std::string& of) {
  std::vector<pb::MountTargetDescription> all;
  if (!of.empty()) {
    TRY(Append(session, of, all));
  } else {
    TRY(ForEachPage([&](const std::string& token) -> Result<std::string> {
      pb::DescribeFileSystemsRequest request;
      request.set_marker(token);
      TRY(auto page, session.Call(&Stub::DescribeFileSystems, request));
      for (const auto& fs : page.file_systems()) TRY(Append(session, fs.file_system_id(), all));
      return page.next_marker();
    }));
  }
  std::vector<const google::protobuf::Message*> messages;
  for (const auto& target : all) messages.push_back(&target);
  session.Show(messages, [&](std::ostream& out) {
    Table table({"MOUNT TARGET", "FILE SYSTEM", "STATE", "ADDRESS", "ZONE"});
    for (const auto& target : all) {
      table.Add({target.mount_target_id(), target.file_system_id(), target.life_cycle_state(),
                 Address(target), OrDash(target.availability_zone_name())});
    }
    if (table.empty()) {
      out << "no mount targets; tarnctl mt create --fs fs-... makes one\n";
    } else {
      table.Print(out);
    }
  });
  return 0;
}

void AddCreate(CLI::App& mt, Action& chosen) {
  auto request = std::make_shared<pb::CreateMountTargetRequest>();
  CLI::App* create = mt.add_subcommand("create", "Open a way to mount a file system");
  create
      ->add_option_function<std::string>(
          "--fs", [request](const std::string& id) { request->set_file_system_id(id); }, "fs-...")
      ->required();
  create->add_option_function<std::string>(
      "--address", [request](const std::string& a) { request->set_ip_address(a); },
      "Where the server listens; without it, on its default listener");
  create->add_option_function<uint32_t>(
      "--port", [request](uint32_t port) { request->set_port(port); }, "2049 when not given");
  create->add_option_function<std::string>(
      "--zone", [request](const std::string& z) { request->set_availability_zone_name(z); },
      "Its zone; a file system has one mount target a zone");
  create->add_option_function<std::string>(
      "--id", [request](const std::string& id) { request->set_mount_target_id(id); },
      "Its id (fsmt-...), instead of a new one");
  create->add_option_function<std::vector<std::string>>(
      "--allow",
      [request](const std::vector<std::string>& ranges) {
        request->mutable_security_groups()->Assign(ranges.begin(), ranges.end());
      },
      "Who may connect: an address or a range of them; more than once for more. Else everybody");
  create->callback([request, &chosen] {
    chosen = [request](Session& session) -> Result<int> {
      TRY(auto made, session.Call(&Stub::CreateMountTarget, *request));
      ShowTarget(session, made);
      return 0;
    };
  });
}

// Shows them; those that are given are put in place of those before.
Result<int> SecurityGroups(Session& session, const std::string& id,
                           const std::vector<std::string>& ranges) {
  if (!ranges.empty()) {
    pb::ModifyMountTargetSecurityGroupsRequest request;
    request.set_mount_target_id(id);
    request.mutable_security_groups()->Assign(ranges.begin(), ranges.end());
    TRY(session.Call(&Stub::ModifyMountTargetSecurityGroups, request));
  }
  pb::DescribeMountTargetSecurityGroupsRequest request;
  request.set_mount_target_id(id);
  TRY(auto response, session.Call(&Stub::DescribeMountTargetSecurityGroups, request));
  session.ShowOne(response, [&](std::ostream& out) {
    if (response.security_groups().empty()) out << "none: as tarn-server --network says\n";
    for (const auto& range : response.security_groups()) out << range << '\n';
  });
  return 0;
}

void AddSecurityGroups(CLI::App& mt, Action& chosen) {
  struct Asked {
    std::string id;
    std::vector<std::string> allow;
    bool everybody = false;
  };
  auto asked = std::make_shared<Asked>();
  CLI::App* groups = mt.add_subcommand("security-groups", "Show or set who may connect");
  groups->add_option("id", asked->id, "fsmt-...")->required();
  auto* allow = groups->add_option(
      "--allow", asked->allow,
      "Only these: an address, a range, or 'node', the node of the server's pod; repeatable");
  groups->add_flag("--allow-everybody", asked->everybody, "0.0.0.0/0 and ::/0")->excludes(allow);
  groups->callback([asked, &chosen] {
    chosen = [asked](Session& session) {
      if (asked->everybody) asked->allow = {"0.0.0.0/0", "::/0"};
      return SecurityGroups(session, asked->id, asked->allow);
    };
  });
}

}  // namespace

void AddMountTargetCommands(CLI::App& app, Action& chosen) {
  CLI::App* mt = app.add_subcommand("mt", "Mount targets");
  mt->require_subcommand(1);
  AddCreate(*mt, chosen);
  AddSecurityGroups(*mt, chosen);
  auto id = std::make_shared<std::string>();
  CLI::App* list = mt->add_subcommand("list", "List all, or those of a file system");
  list->add_option("--fs", *id, "fs-...");
  list->callback([id, &chosen] { chosen = [id](Session& s) { return List(s, *id); }; });
  CLI::App* show = mt->add_subcommand("show", "Show one");
  show->add_option("id", *id, "fsmt-...")->required();
  show->callback([id, &chosen] {
    chosen = [id](Session& session) -> Result<int> {
      pb::DescribeMountTargetsRequest request;
      request.set_mount_target_id(*id);
      TRY(auto response, session.Call(&Stub::DescribeMountTargets, request));
      for (const auto& target : response.mount_targets()) ShowTarget(session, target);
      return 0;
    };
  });
  CLI::App* remove = mt->add_subcommand("delete", "Delete one; its clients are disconnected");
  remove->add_option("id", *id, "fsmt-...")->required();
  remove->callback([id, &chosen] {
    chosen = [id](Session& session) -> Result<int> {
      pb::DeleteMountTargetRequest request;
      request.set_mount_target_id(*id);
      TRY(session.Call(&Stub::DeleteMountTarget, request));
      if (!session.json()) session.out() << *id << " deleted\n";
      return 0;
    };
  });
}

}  // namespace tarn::cli
