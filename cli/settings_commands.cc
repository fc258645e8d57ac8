// tarnctl lifecycle, tarnctl tag.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;

// "30" is "AFTER_30_DAYS"; EFS's own words stay.
std::string Age(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return text;
  return "AFTER_" + text + (text == "1" ? "_DAY" : "_DAYS");
}

void ShowLifecycle(Session& session, const pb::LifecycleConfigurationDescription& description) {
  std::string to_ia, to_archive, to_primary;
  for (const auto& policy : description.lifecycle_policies()) {
    to_ia += policy.transition_to_ia();
    to_archive += policy.transition_to_archive();
    to_primary += policy.transition_to_primary_storage_class();
  }
  session.ShowOne(description, [&](std::ostream& out) {
    PrintFacts(out, {{"To Infrequent Access", to_ia},
                     {"To Archive", to_archive},
                     {"Back to Standard", to_primary}});
  });
  for (const std::string& warning : description.warnings()) {
    session.err() << "tarnctl: warning: " << warning << "\n";
  }
}

struct LifecycleFlags {
  std::string id, to_ia, to_archive;
  bool to_primary = false;
};

Result<int> SetLifecycle(const LifecycleFlags& flags, Session& session) {
  pb::PutLifecycleConfigurationRequest request;
  request.set_file_system_id(flags.id);
  if (!flags.to_ia.empty()) {
    request.add_lifecycle_policies()->set_transition_to_ia(Age(flags.to_ia));
  }
  if (flags.to_primary) {
    request.add_lifecycle_policies()->set_transition_to_primary_storage_class("AFTER_1_ACCESS");
  }
  if (!flags.to_archive.empty()) {
    request.add_lifecycle_policies()->set_transition_to_archive(Age(flags.to_archive));
  }
  TRY(auto now, session.Call(&Stub::PutLifecycleConfiguration, request));
  ShowLifecycle(session, now);
  return 0;
}

Result<int> ListTags(Session& session, const std::string& id) {
  std::vector<pb::Tag> all;
  TRY(ForEachPage([&](const std::string& token) -> Result<std::string> {
    pb::ListTagsForResourceRequest request;
    request.set_resource_id(id);
    request.set_next_token(token);
    TRY(auto page, session.Call(&Stub::ListTagsForResource, request));
    all.insert(all.end(), page.tags().begin(), page.tags().end());
    return page.next_token();
  }));
  std::vector<const google::protobuf::Message*> messages;
  for (const auto& tag : all) messages.push_back(&tag);
  session.Show(messages, [&](std::ostream& out) {
    Table table({"KEY", "VALUE"});
    for (const auto& tag : all) table.Add({tag.key(), tag.value()});
    table.Print(out);
  });
  return 0;
}

}  // namespace

void AddLifecycleCommands(CLI::App& app, Action& chosen) {
  CLI::App* lifecycle = app.add_subcommand("lifecycle", "When files move to cheaper storage");
  lifecycle->require_subcommand(1);
  auto flags = std::make_shared<LifecycleFlags>();
  CLI::App* show = lifecycle->add_subcommand("show", "Show the rules of a file system");
  show->add_option("id", flags->id, "fs-...")->required();
  show->callback([flags, &chosen] {
    chosen = [flags](Session& session) -> Result<int> {
      pb::DescribeLifecycleConfigurationRequest request;
      request.set_file_system_id(flags->id);
      TRY(auto found, session.Call(&Stub::DescribeLifecycleConfiguration, request));
      ShowLifecycle(session, found);
      return 0;
    };
  });
  CLI::App* set = lifecycle->add_subcommand("set", "Replace the rules of a file system");
  set->add_option("id", flags->id, "fs-...")->required();
  set->add_option("--to-ia", flags->to_ia, "Days without access, or AFTER_30_DAYS and so on");
  set->add_option("--to-archive", flags->to_archive, "The same; must be later than --to-ia");
  set->add_flag("--to-primary", flags->to_primary, "Back to Standard at the first access");
  set->callback(
      [flags, &chosen] { chosen = [flags](Session& s) { return SetLifecycle(*flags, s); }; });
  CLI::App* clear = lifecycle->add_subcommand("clear", "Remove all rules of a file system");
  clear->add_option("id", flags->id, "fs-...")->required();
  clear->callback([flags, &chosen] {
    chosen = [flags](Session& s) {
      return SetLifecycle({.id = flags->id, .to_ia = {}, .to_archive = {}}, s);
    };
  });
}

void AddTagCommands(CLI::App& app, Action& chosen) {
  CLI::App* tag = app.add_subcommand("tag", "Tags of file systems and access points");
  tag->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* list = tag->add_subcommand("list", "List the tags of a resource");
  list->add_option("id", *id, "fs-... or fsap-...")->required();
  list->callback([id, &chosen] { chosen = [id](Session& s) { return ListTags(s, *id); }; });
  CLI::App* set = tag->add_subcommand("set", "Add or change tags");
  set->add_option("id", *id, "fs-... or fsap-...")->required();
  set->add_option("tags", *words, "KEY=VALUE")->required();
  set->callback([id, words, &chosen] {
    chosen = [id, words](Session& session) -> Result<int> {
      pb::TagResourceRequest request;
      request.set_resource_id(*id);
      for (const std::string& word : *words) {
        TRY(auto pair, ParseTag(word));
        auto& added = *request.add_tags();
        added.set_key(pair.first);
        added.set_value(pair.second);
      }
      TRY(session.Call(&Stub::TagResource, request));
      return ListTags(session, *id);
    };
  });
  CLI::App* remove = tag->add_subcommand("remove", "Remove tags");
  remove->add_option("id", *id, "fs-... or fsap-...")->required();
  remove->add_option("keys", *words, "KEY")->required();
  remove->callback([id, words, &chosen] {
    chosen = [id, words](Session& session) -> Result<int> {
      pb::UntagResourceRequest request;
      request.set_resource_id(*id);
      request.mutable_tag_keys()->Assign(words->begin(), words->end());
      TRY(session.Call(&Stub::UntagResource, request));
      return ListTags(session, *id);
    };
  });
}

}  // namespace tarn::cli
