// What a file system policy is asked, and what it answers.
//
// A Request describes one connection that wants to use a file system; all of it is known at the
// handshake and at the mount, so that a decision needs no I/O. It borrows its strings: they must
// live as long as it does.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/ip_address.h"

namespace tarn::policy {

// The actions of NFS clients, by EFS's names.
enum class Action : uint8_t {
  kMount,  // elasticfilesystem:ClientMount: to use the file system at all, reading only
  kWrite,  // elasticfilesystem:ClientWrite
  kRoot,   // elasticfilesystem:ClientRootAccess: root is not squashed
};
inline constexpr std::array kActions{Action::kMount, Action::kWrite, Action::kRoot};
// "elasticfilesystem:ClientMount".
std::string_view Name(Action action);

struct Request {
  // Who, by a proof that was verified. A ServiceAccount as "namespace/name", of another cluster
  // than this one "cluster:namespace/name"; pod and groups have the same in front.
  std::string_view service_account;
  std::string_view issuer;              // of its token
  std::string_view pod;                 // "namespace/name"; empty: not known
  std::span<const std::string> groups;  // of the ServiceAccount, as the TokenReview API gives them
  // Or who has an access key, by its ARN.
  std::string_view aws_principal;

  // From where and how. Of an address that cannot be trusted, there is none.
  std::optional<IpAddress> source_ip;
  bool secure_transport = false;
  bool via_mount_target = true;

  // What: see arn.h.
  std::string_view file_system_arn;
  std::string_view access_point_arn;  // empty: the file system's own root

  int64_t now_seconds = 0;  // since 1970

  bool anonymous() const { return service_account.empty() && aws_principal.empty(); }
};

enum class Reason : uint8_t {
  kNoPolicy,           // there is none: EFS's default, everybody may do everything
  kAllow,              // a statement allows it, and none denies it
  kExplicitDeny,       // a statement denies it, whatever others allow
  kNoStatementAllows,  // no statement allows it
};

struct Decision {
  Reason reason = Reason::kNoStatementAllows;
  // The one that decided, counted from 0 in the policy's text, the first of several; -1: none did.
  int statement = -1;

  bool allowed() const { return reason == Reason::kNoPolicy || reason == Reason::kAllow; }
  bool operator==(const Decision&) const = default;
};

// The three decisions for one request. Each stands for itself: a client that may not mount may do
// nothing, whatever `write` and `root` say.
struct Rights {
  std::array<Decision, kActions.size()> decisions;  // by Action

  const Decision& of(Action action) const { return decisions[static_cast<size_t>(action)]; }
  Decision& of(Action action) { return decisions[static_cast<size_t>(action)]; }
  bool mount() const { return of(Action::kMount).allowed(); }
  bool write() const { return mount() && of(Action::kWrite).allowed(); }
  bool root() const { return mount() && of(Action::kRoot).allowed(); }
  bool operator==(const Rights&) const = default;

  // Of a file system that has no policy.
  static Rights Unlimited() {
    Rights rights;
    rights.decisions.fill({Reason::kNoPolicy, -1});
    return rights;
  }
};

}  // namespace tarn::policy
