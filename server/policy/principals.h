// Whom a statement is about: its Principal or NotPrincipal.
//
// "*" and {"AWS": "*"} are everybody, anonymous clients too. {"ServiceAccount": …} takes "*" (any
// ServiceAccount of any cluster, but no anonymous client), "namespace/*" and "namespace/name" (of
// this cluster), "cluster:*", "cluster:namespace/*" and "cluster:namespace/name" (of another one);
// {"AWS": …} the ARN of who has an access key, or an account; each of them also a list.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/result.h"
#include "server/policy/request.h"

namespace tarn::policy {

// The groups that Kubernetes puts each ServiceAccount of the namespace into. Those of another
// cluster, "cluster:namespace", all have its name in front.
std::vector<std::string> GroupsOf(const std::string& name_space);

class Principals {
 public:
  // `negated`: it is a NotPrincipal.
  static Result<Principals> Parse(const nlohmann::json& element, const std::string& path,
                                  bool negated);

  bool everybody() const { return everybody_; }
  bool Include(const Request& request) const { return Listed(request) != negated_; }

 private:
  struct Account {
    std::string name;    // "namespace/name", or "namespace/", or "cluster:"
    bool whole = false;  // all of the namespace or cluster
  };
  Result<void> Add(const std::string& kind, const std::string& name, const std::string& path);
  Result<void> AddAccount(const std::string& text, const std::string& path);
  Result<void> AddAws(const std::string& text, const std::string& path);
  bool Listed(const Request& request) const;

  bool negated_ = false;
  bool everybody_ = false;
  bool any_account_ = false;
  std::vector<Account> accounts_;
  std::vector<std::string> aws_accounts_;    // "123456789012"
  std::vector<std::string> aws_principals_;  // ARNs
};

}  // namespace tarn::policy
