// Who a pod is: the Kubernetes ServiceAccount that its token names, and the pod itself.
#pragma once

#include <chrono>
#include <string>

namespace tarn::identity {

struct ServiceAccount {
  std::string issuer;
  std::string cluster;  // that the issuer is of; empty: this one
  std::string name_space;
  std::string name;
  std::string uid;
  // Of a token that is bound to a pod; else empty.
  std::string pod;
  std::string pod_uid;
  std::string node;                 // the pod's; empty before Kubernetes 1.30
  std::chrono::seconds expires{0};  // since 1970

  // A name of the cluster, as policies know it: another cluster's have its name in front.
  std::string Qualified(const std::string& text) const {
    return cluster.empty() ? text : cluster + ":" + text;
  }
  // As Kubernetes writes its user name.
  std::string UserName() const { return "system:serviceaccount:" + name_space + ":" + name; }
};

}  // namespace tarn::identity
