// Policy: a file system policy in the language of IAM, compiled.
//
//   TRY(auto policy, Policy::Compile(text));
//   Rights rights = policy->Decide(request);
//   if (!rights.mount()) log(Explain(policy.get(), Action::kMount, rights.of(Action::kMount)));
//
// The language, as EFS uses it, and what differs from IAM: docs/policy.md. Of the statements that
// apply to a request one Deny denies, else one Allow allows, else it is denied; their order decides
// nothing.
//
// Immutable: any number of threads may ask one object. A decision does no I/O and allocates
// nothing; it takes a time linear in the policy's length.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "server/policy/request.h"
#include "server/policy/statement.h"

namespace tarn::policy {

// EFS's limit.
inline constexpr size_t kCharactersMax = 20'000;

class Policy {
 public:
  // `file_system_arn`: whose policy it is, so that a Resource of another file system is an error;
  // empty: not checked. Every error is InvalidPolicyException, and names the place and the fix.
  static Result<std::shared_ptr<const Policy>> Compile(std::string_view text,
                                                       std::string_view file_system_arn = {});
  // Denies everything: what stands for a policy that can no longer be read.
  static std::shared_ptr<const Policy> DenyAll();

  Rights Decide(const Request& request) const;
  Decision Decide(const Request& request, Action action) const;

  // "statement 2 'NoRoot'".
  std::string NameOf(int statement) const;

  // False: whoever asks, and whatever for, this is denied.
  bool EverAllows(Action action) const;
  // A decision may change as time goes by, though nothing else does.
  bool depends_on_time() const { return depends_on_time_; }
  // As it was given to Compile.
  const std::string& text() const { return text_; }

 private:
  Policy() = default;
  // Decides the actions of `open`.
  void Decide(const Request& request, ActionSet open, Rights& rights) const;

  std::string text_;
  std::vector<Statement> denies_, allows_;  // each in the order of the text
  bool depends_on_time_ = false;
};

// The same for a file system's policy, or the lack of one: null.
Rights Decide(const Policy* policy, const Request& request);
// "elasticfilesystem:ClientMount is denied by statement 2 'NoRoot': explicit deny". Of a decision
// of this policy.
std::string Explain(const Policy* policy, Action action, const Decision& decision);

}  // namespace tarn::policy
