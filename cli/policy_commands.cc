// tarnctl policy: put, describe, delete, make, test.
#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "server/policy/arn.h"
#include "server/policy/presets.h"
#include "server/policy/principals.h"
#include "server/policy/table.h"
#include "server/policy/values.h"

namespace tarn::cli {
namespace {

using Stub = pb::Control::Stub;
using Right = policy::Action;

// What `test` takes when nothing says which file system it is about.
constexpr const char* kSomeFileSystem = "fs-00000000000000000";
constexpr const char* kAnonymous = "anonymous";

Result<std::string> ReadText(const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    return Error(Code::kNoEntry,
                 "--file: " + file + " cannot be read: name a file, or - for stdin");
  }
  return text;
}

void ShowPolicy(Session& session, const pb::FileSystemPolicyDescription& description) {
  session.ShowOne(description, [&](std::ostream& out) { out << description.policy() << "\n"; });
}

struct TestFlags {
  std::string id, file;
  std::string principal = kAnonymous;
  std::string pod, issuer, source_ip, access_point, time;
  std::vector<std::string> groups, actions;
  bool tls = false;
  bool direct = false;
};

Result<std::vector<Right>> Asked(const std::vector<std::string>& words) {
  if (words.empty()) return std::vector<Right>(policy::kActions.begin(), policy::kActions.end());
  std::vector<Right> asked;
  for (const std::string& word : words) {
    if (word == "mount" || word == policy::Name(Right::kMount)) {
      asked.push_back(Right::kMount);
    } else if (word == "write" || word == policy::Name(Right::kWrite)) {
      asked.push_back(Right::kWrite);
    } else if (word == "root" || word == policy::Name(Right::kRoot)) {
      asked.push_back(Right::kRoot);
    } else {
      return Error(Code::kInvalid, "--action '" + word + "': use mount, write or root");
    }
  }
  return asked;
}

// The policy to test, and the ARN of its file system.
struct Subject {
  policy::PolicyPtr policy;
  std::string arn;
};

Result<Subject> FindSubject(Session& session, const TestFlags& flags) {
  Subject subject;
  bool arn = flags.id.starts_with("arn:");
  if (!flags.file.empty()) {
    std::string id = flags.id.empty() ? kSomeFileSystem : flags.id;
    subject.arn = arn ? id : policy::FileSystemArn("local", "000000000000", id);
    TRY(std::string text, ReadText(flags.file));
    // Without an id it is not known whose policy it is, so a Resource may name any.
    TRY(subject.policy, policy::Policy::Compile(text, flags.id.empty() ? "" : subject.arn));
    return subject;
  }
  if (flags.id.empty()) {
    return Error(Code::kInvalid, "what shall be tested: name a file system, or --file");
  }
  pb::DescribeFileSystemsRequest which;
  which.set_file_system_id(std::string(policy::IdOfArn(flags.id)));
  TRY(auto found, session.Call(&Stub::DescribeFileSystems, which));
  if (found.file_systems().empty()) return Error(Code::kNotFound, "no file system " + flags.id);
  subject.arn = found.file_systems(0).file_system_arn();
  pb::DescribeFileSystemPolicyRequest request;
  request.set_file_system_id(which.file_system_id());
  auto there = session.Call(&Stub::DescribeFileSystemPolicy, request);
  if (!there.ok() && there.error().api_name() == "PolicyNotFound") return subject;
  TRY(auto description, std::move(there));
  TRY(subject.policy, policy::Policy::Compile(description.policy(), subject.arn));
  return subject;
}

// A request with the strings that it borrows.
struct Connection {
  std::string pod, access_point_arn;
  std::vector<std::string> groups;
  policy::Request request;
};

Result<void> Describe(const TestFlags& flags, const Subject& subject, Connection& connection) {
  policy::Request& request = connection.request;
  std::string space = flags.principal.substr(0, flags.principal.find('/'));
  if (flags.principal.starts_with("arn:")) {
    request.aws_principal = flags.principal;
  } else if (flags.principal != kAnonymous) {
    if (space.empty() || space.size() + 1 >= flags.principal.size()) {
      return Error(Code::kInvalid,
                   "--principal '" + flags.principal +
                       "': write NAMESPACE/NAME of a ServiceAccount (of another cluster "
                       "CLUSTER:NAMESPACE/NAME), an ARN, or anonymous");
    }
    request.service_account = flags.principal;
    request.issuer = flags.issuer;
    connection.groups = flags.groups;
    if (connection.groups.empty()) connection.groups = policy::GroupsOf(space);
    request.groups = connection.groups;
  }
  connection.pod = flags.pod;
  if (!flags.pod.empty() && flags.pod.find('/') == std::string::npos) {
    connection.pod = space + "/" + flags.pod;
  }
  request.pod = connection.pod;
  if (!flags.source_ip.empty()) {
    request.source_ip = IpAddress::Parse(flags.source_ip);
    if (!request.source_ip) {
      return Error(Code::kInvalid, "--source-ip '" + flags.source_ip + "' is no IP address");
    }
  }
  request.secure_transport = flags.tls;
  request.via_mount_target = !flags.direct;
  request.file_system_arn = subject.arn;
  if (!flags.access_point.empty()) {
    auto arn = policy::AccessPointArnBeside(subject.arn, policy::IdOfArn(flags.access_point));
    if (!arn) return Error(Code::kInvalid, "'" + subject.arn + "' is no ARN of a file system");
    connection.access_point_arn = std::move(*arn);
    request.access_point_arn = connection.access_point_arn;
  }
  auto now = std::chrono::system_clock::now().time_since_epoch();
  request.now_seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  if (!flags.time.empty()) {
    auto seconds = policy::ParseDate(flags.time);
    if (!seconds.ok()) return Error(Code::kInvalid, "--time: " + seconds.error().message());
    request.now_seconds = static_cast<int64_t>(*seconds);
  }
  return Ok();
}

Result<int> Test(const TestFlags& flags, Session& session) {
  TRY(std::vector<Right> asked, Asked(flags.actions));
  TRY(Subject subject, FindSubject(session, flags));
  Connection connection;
  TRY(Describe(flags, subject, connection));
  policy::Rights rights = policy::Decide(subject.policy.get(), connection.request);
  bool all = true;
  auto json = nlohmann::ordered_json::array();
  for (Right action : asked) {
    const policy::Decision& decision = rights.of(action);
    std::string why = policy::Explain(subject.policy.get(), action, decision);
    if (decision.allowed() && !rights.mount()) why += "; of no use without ClientMount";
    all = all && decision.allowed() && rights.mount();
    if (!session.json()) session.out() << why << "\n";
    json.push_back({{"action", policy::Name(action)},
                    {"allowed", decision.allowed()},
                    {"statement", decision.statement},
                    {"why", why}});
  }
  if (session.json()) session.out() << json.dump(2) << "\n";
  return all ? 0 : 1;
}

void AddPut(CLI::App& app, Action& chosen) {
  auto request = std::make_shared<pb::PutFileSystemPolicyRequest>();
  auto file = std::make_shared<std::string>();
  CLI::App* put = app.add_subcommand("put", "Set or replace the policy of a file system");
  put->add_option_function<std::string>(
         "id", [request](const std::string& id) { request->set_file_system_id(id); }, "fs-...")
      ->required();
  put->add_option("--file,-f", *file, "Its JSON; - is stdin")->required();
  put->add_flag_function(
      "--bypass-lockout-check",
      [request](int64_t) { request->set_bypass_policy_lockout_safety_check(true); },
      "Also when nobody could mount any more");
  put->callback([request, file, &chosen] {
    chosen = [request, file](Session& session) -> Result<int> {
      TRY(std::string text, ReadText(*file));
      while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
      request->set_policy(text);
      TRY(auto now, session.Call(&Stub::PutFileSystemPolicy, *request));
      ShowPolicy(session, now);
      return 0;
    };
  });
}

void AddDescribe(CLI::App& app, Action& chosen) {
  auto request = std::make_shared<pb::DescribeFileSystemPolicyRequest>();
  CLI::App* describe = app.add_subcommand("describe", "Show the policy of a file system");
  describe
      ->add_option_function<std::string>(
          "id", [request](const std::string& id) { request->set_file_system_id(id); }, "fs-...")
      ->required();
  describe->callback([request, &chosen] {
    chosen = [request](Session& session) -> Result<int> {
      TRY(auto found, session.Call(&Stub::DescribeFileSystemPolicy, *request));
      ShowPolicy(session, found);
      return 0;
    };
  });
}

void AddDelete(CLI::App& app, Action& chosen) {
  auto request = std::make_shared<pb::DeleteFileSystemPolicyRequest>();
  CLI::App* remove =
      app.add_subcommand("delete", "Remove the policy, so that everybody may do everything");
  remove
      ->add_option_function<std::string>(
          "id", [request](const std::string& id) { request->set_file_system_id(id); }, "fs-...")
      ->required();
  remove->callback([request, &chosen] {
    chosen = [request](Session& session) -> Result<int> {
      TRY(session.Call(&Stub::DeleteFileSystemPolicy, *request));
      if (!session.json()) {
        session.out() << request->file_system_id() << " has no policy: all access is allowed\n";
      }
      return 0;
    };
  });
}

void AddMake(CLI::App& app, Action& chosen) {
  auto preset = std::make_shared<policy::Preset>();
  CLI::App* make = app.add_subcommand("make", "Write a ready-made policy, for put --file -");
  make->add_flag("--enforce-tls", preset->enforce_tls, "Deny what is not encrypted in transit");
  make->add_flag("--enforce-identity", preset->enforce_identity, "Deny anonymous clients");
  make->add_flag("--deny-root", preset->deny_root, "Squash root");
  make->add_flag("--read-only", preset->read_only, "Deny writing");
  make->add_flag("--only-access-points", preset->only_by_access_points,
                 "Deny the file system's own root");
  const char* who = "NAMESPACE/*, NAMESPACE/NAME, or * for any ServiceAccount; may be repeated";
  make->add_option("--full", preset->full, std::string("Who may do everything: ") + who);
  make->add_option("--write", preset->writers, std::string("Who may mount and write: ") + who);
  make->add_option("--read", preset->readers, std::string("Who may mount: ") + who);
  make->footer("Without --full, --write and --read everybody may do what is not denied.");
  make->callback([preset, &chosen] {
    chosen = [preset](Session& session) -> Result<int> {
      TRY(std::string text, policy::MakePolicy(*preset));
      session.out() << text << "\n";
      return 0;
    };
  });
}

void AddTest(CLI::App& app, Action& chosen) {
  auto flags = std::make_shared<TestFlags>();
  CLI::App* test = app.add_subcommand(
      "test", "Say which statement allows or denies; exit code 1 when something is denied");
  test->add_option("id", flags->id,
                   "fs-..., or its ARN: whose policy; with --file, whose it is to be");
  test->add_option("--file,-f", flags->file, "Test this policy, without a server; - is stdin");
  test->add_option("--principal,-p", flags->principal,
                   "NAMESPACE/NAME of a ServiceAccount, of another cluster CLUSTER:NAMESPACE/NAME; "
                   "or the ARN of who has an access key")
      ->capture_default_str();
  test->add_option("--action,-a", flags->actions, "mount, write, root; may be repeated [all]");
  test->add_option("--source-ip", flags->source_ip, "The client's address");
  test->add_flag("--tls", flags->tls, "Encrypted in transit");
  test->add_option("--access-point", flags->access_point, "fsap-...");
  test->add_option("--pod", flags->pod, "NAME, or NAMESPACE/NAME");
  test->add_option("--issuer", flags->issuer, "Of the ServiceAccount's token");
  test->add_option("--group", flags->groups,
                   "Of the ServiceAccount; may be repeated [its usual ones]");
  test->add_option("--time", flags->time, "2026-11-27T15:04:05Z, or seconds since 1970 [now]");
  test->add_flag("--not-by-mount-target", flags->direct,
                 "elasticfilesystem:AccessedViaMountTarget");
  test->callback([flags, &chosen] { chosen = [flags](Session& s) { return Test(*flags, s); }; });
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Action& chosen) {
  CLI::App* policy = app.add_subcommand("policy", "Who may mount, write and be root");
  policy->require_subcommand(1);
  AddPut(*policy, chosen);
  AddDescribe(*policy, chosen);
  AddDelete(*policy, chosen);
  AddMake(*policy, chosen);
  AddTest(*policy, chosen);
}

}  // namespace tarn::cli
