// Whom a statement is about: its Principal or NotPrincipal.
//
// "*" and {"AWS": "*"} are everybody, anonymous clients too. {"ServiceAccount": …} takes "*" (any
// ServiceAccount, but no anonymous client), "namespace/*" and "namespace/name", or a list of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/result.h"
#include "server/policy/request.h"

namespace tarn::policy {

// The groups that Kubernetes puts each ServiceAccount of the namespace into.
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
    std::string name;    // "namespace/name", or "namespace/"
    bool whole = false;  // all of the namespace
  };
  Result<void> AddAccount(const std::string& text, const std::string& path);
  bool Listed(const Request& request) const;

  bool negated_ = false;
  bool everybody_ = false;
  bool any_account_ = false;
  std::vector<Account> accounts_;
};

}  // namespace tarn::policy
