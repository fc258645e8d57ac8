// tarnctl ap: create, list, show, set-quota, delete.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "common/ids.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

std::string Identity(const pb::AccessPointDescription& ap) {
  if (!ap.has_posix_user()) return "";
  std::string text =
      std::to_string(ap.posix_user().uid()) + ":" + std::to_string(ap.posix_user().gid());
  for (uint32_t gid : ap.posix_user().secondary_gids()) text += "," + std::to_string(gid);
  return text;
}

void ShowAccessPoint(Session& session, const pb::AccessPointDescription& ap) {
  session.ShowOne(ap, [&](std::ostream& out) {
    const auto& root = ap.root_directory();
    std::string made;
    if (root.has_creation_info()) {
      made = std::to_string(root.creation_info().owner_uid()) + ":" +
             std::to_string(root.creation_info().owner_gid()) + " " +
             root.creation_info().permissions();
    }
    std::vector<std::pair<std::string, std::string>> facts{
        {"Access point", ap.access_point_id()},
        {"Name", ap.name()},
        {"File system", ap.file_system_id()},
        {"State", ap.life_cycle_state()},
        {"Root directory", root.path()},
        {"Made as", made},
        {"Identity", Identity(ap)},
        {"Used", Bytes(ap.used_bytes()) + " in " + std::to_string(ap.used_files()) + " files"},
        {"Free", Bytes(ap.free_bytes())},
        {"Quota", Limit(ap.quota_bytes())},
        {"Quota of files", ap.quota_files() == 0 ? "none" : std::to_string(ap.quota_files())},
        {"Client token", ap.client_token()}};
    for (const auto& tag : ap.tags()) facts.emplace_back("Tag " + tag.key(), tag.value());
    PrintFacts(out, facts);
  });
}

Result<int> List(Session& session, const std::string& of) {
  std::vector<pb::AccessPointDescription> all;
  TRY(ForEachPage([&](const std::string& token) -> Result<std::string> {
    pb::DescribeAccessPointsRequest request;
    request.set_file_system_id(of);
    request.set_next_token(token);
    request.set_max_results(1000);
    TRY(auto page, session.Call(&Stub::DescribeAccessPoints, request));
    all.insert(all.end(), page.access_points().begin(), page.access_points().end());
    return page.next_token();
  }));
  std::vector<const google::protobuf::Message*> messages;
  for (const auto& ap : all) messages.push_back(&ap);
  session.Show(messages, [&](std::ostream& out) {
    Table table({"ACCESS POINT", "NAME", "FILE SYSTEM", "ROOT", "IDENTITY", "USED", "QUOTA"});
    for (const auto& ap : all) {
      table.Add({ap.access_point_id(), OrDash(ap.name()), ap.file_system_id(),
                 ap.root_directory().path(), OrDash(Identity(ap)), Bytes(ap.used_bytes()),
                 Limit(ap.quota_bytes())});
    }
    if (table.empty()) {
      out << "no access points; tarnctl ap create --fs fs-... makes one\n";
    } else {
      table.Print(out);
    }
  });
  return 0;
}

struct CreateFlags {
  std::string fs, token, path = "/", user, owner, permissions, quota, gid_range, name;
  uint64_t quota_files = 0;
  std::vector<uint32_t> secondary_gids;
  std::vector<std::string> tags;
};

Result<void> FillOwners(const CreateFlags& flags, pb::CreateAccessPointRequest& request) {
  if (!flags.user.empty()) {
    TRY(auto user, ParsePair("--user", flags.user, ':'));
    request.mutable_posix_user()->set_uid(user.first);
    request.mutable_posix_user()->set_gid(user.second);
  } else if (!flags.secondary_gids.empty()) {
    return Error(Code::kInvalid, "--secondary-gid needs --user UID:GID");
  }
  for (uint32_t gid : flags.secondary_gids) request.mutable_posix_user()->add_secondary_gids(gid);
  if (!flags.gid_range.empty()) {
    TRY(auto range, ParsePair("--gid-range", flags.gid_range, '-'));
    request.set_gid_range_start(range.first);
    request.set_gid_range_end(range.second);
  }
  auto& root = *request.mutable_root_directory();
  root.set_path(flags.path);
  if (flags.owner.empty() && flags.permissions.empty()) return Ok();
  auto& creation = *root.mutable_creation_info();
  creation.set_permissions(flags.permissions.empty() ? "0755" : flags.permissions);
  // Without an owner the directory belongs to the identity.
  std::pair<uint32_t, uint32_t> owner{request.posix_user().uid(), request.posix_user().gid()};
  if (!flags.owner.empty()) {
    TRY(owner, ParsePair("--owner", flags.owner, ':'));
  }
  creation.set_owner_uid(owner.first);
  creation.set_owner_gid(owner.second);
  return Ok();
}

Result<int> Create(const CreateFlags& flags, Session& session) {
  pb::CreateAccessPointRequest request;
  request.set_file_system_id(flags.fs);
  request.set_client_token(flags.token.empty() ? MintId("tarnctl-") : flags.token);
  TRY(FillOwners(flags, request));
  if (!flags.quota.empty()) {
    TRY(uint64_t quota, ParseBytes("--quota", flags.quota));
    request.set_quota_bytes(quota);
  }
  request.set_quota_files(flags.quota_files);
  std::vector<std::string> tags = flags.tags;
  if (!flags.name.empty()) tags.push_back("Name=" + flags.name);
  for (const std::string& text : tags) {
    TRY(auto tag, ParseTag(text));
    auto& added = *request.add_tags();
    added.set_key(tag.first);
    added.set_value(tag.second);
  }
  TRY(auto made, session.Call(&Stub::CreateAccessPoint, request));
  ShowAccessPoint(session, made);
  return 0;
}

void AddCreate(CLI::App& ap, Action& chosen) {
  auto flags = std::make_shared<CreateFlags>();
  CLI::App* create = ap.add_subcommand("create", "Make an access point");
  create->add_option("--fs", flags->fs, "fs-...")->required();
  create->add_option("--path", flags->path, "Its root directory")->capture_default_str();
  create->add_option("--user", flags->user, "UID:GID that replaces the identity of its clients");
  create->add_option("--secondary-gid", flags->secondary_gids, "More groups of it; at most 16");
  create->add_option("--gid-range", flags->gid_range,
                     "START-END: an identity with a free gid, and the same uid, instead of --user");
  create->add_option("--owner", flags->owner,
                     "UID:GID of the root directory, which is made at first use");
  create->add_option("--permissions", flags->permissions, "Its mode, such as 0750 [0755]");
  create->add_option("--quota", flags->quota, "Bytes it may hold, such as 10GiB");
  create->add_option("--quota-files", flags->quota_files, "Files it may hold");
  create->add_option("--token", flags->token,
                     "Client token: the same token gives the same access point");
  create->add_option("--name", flags->name, "Its tag Name");
  create->add_option("--tag", flags->tags, "KEY=VALUE; may be repeated");
  create->callback(
      [flags, &chosen] { chosen = [flags](Session& s) { return Create(*flags, s); }; });
}

Result<pb::AccessPointDescription> Find(Session& session, const std::string& id) {
  pb::DescribeAccessPointsRequest request;
  request.set_access_point_id(id);
  TRY(auto response, session.Call(&Stub::DescribeAccessPoints, request));
  if (response.access_points().empty()) return Error(Code::kNotFound, "no access point " + id);
  return response.access_points(0);
}

void AddSetQuota(CLI::App& ap, Action& chosen) {
  struct Flags {
    std::string id, bytes;
    std::optional<uint64_t> files;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* set = ap.add_subcommand("set-quota", "Change how much an access point may hold");
  set->add_option("id", flags->id, "fsap-...")->required();
  set->add_option("size", flags->bytes, "Such as 10GiB, or none")->required();
  set->add_option("--files", flags->files, "Files it may hold, 0: any number [as it is]");
  set->callback([flags, &chosen] {
    chosen = [flags](Session& session) -> Result<int> {
      TRY(uint64_t bytes, ParseBytes("size", flags->bytes));
      TRY(auto before, Find(session, flags->id));
      pb::UpdateAccessPointRequest request;
      request.set_access_point_id(flags->id);
      request.set_quota_bytes(bytes);
      request.set_quota_files(flags->files.value_or(before.quota_files()));
      TRY(auto now, session.Call(&Stub::UpdateAccessPoint, request));
      ShowAccessPoint(session, now);
      return 0;
    };
  });
}

void AddDelete(CLI::App& ap, Action& chosen) {
  auto id = std::make_shared<std::string>();
  auto with_data = std::make_shared<bool>(false);
  CLI::App* remove = ap.add_subcommand("delete", "Delete an access point; its files stay");
  remove->add_option("id", *id, "fsap-...")->required();
  remove->add_flag("--with-data", *with_data, "Delete its root directory and all in it, too");
  remove->callback([id, with_data, &chosen] {
    chosen = [id, with_data](Session& session) -> Result<int> {
      pb::DeleteAccessPointRequest request;
      request.set_access_point_id(*id);
      request.set_delete_root_directory(*with_data);
      TRY(session.Call(&Stub::DeleteAccessPoint, request));
      if (!session.json()) session.out() << *id << " deleted\n";
      return 0;
    };
  });
}

}  // namespace

void AddAccessPointCommands(CLI::App& app, Action& chosen) {
  CLI::App* ap = app.add_subcommand("ap", "Access points");
  ap->require_subcommand(1);
  AddCreate(*ap, chosen);
  auto id = std::make_shared<std::string>();
  CLI::App* list = ap->add_subcommand("list", "List all, or those of a file system");
  list->add_option("--fs", *id, "fs-...");
  list->callback([id, &chosen] { chosen = [id](Session& s) { return List(s, *id); }; });
  CLI::App* show = ap->add_subcommand("show", "Show one");
  show->add_option("id", *id, "fsap-...")->required();
  show->callback([id, &chosen] {
    chosen = [id](Session& session) -> Result<int> {
      TRY(auto found, Find(session, *id));
      ShowAccessPoint(session, found);
      return 0;
    };
  });
  AddSetQuota(*ap, chosen);
  AddDelete(*ap, chosen);
}

}  // namespace tarn::cli
