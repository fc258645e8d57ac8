// Who a pod is: the Kubernetes ServiceAccount that its token names, and the pod itself.
#pragma once

#include <chrono>
#include <string>

namespace tarn::identity {

struct ServiceAccount {
  std::string issuer;
  std::string name_space;
  std::string name;
  std::string uid;
  // Of a token that is bound to a pod; else empty.
  std::string pod;
  std::string pod_uid;
  std::string node;                 // the pod's; empty before Kubernetes 1.30
  std::chrono::seconds expires{0};  // since 1970

  // As Kubernetes writes its user name.
  std::string UserName() const { return "system:serviceaccount:" + name_space + ":" + name; }
};

}  // namespace tarn::identity
