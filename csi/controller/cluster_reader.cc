#include "csi/controller/cluster_reader.h"

#include "operator/kube/client.h"
#include "operator/kube/text.h"

namespace tarn::csi {
namespace {

using Data = std::map<std::string, std::string>;

const kube::ResourceType kConfigMap{"", "v1", "configmaps", "ConfigMap", true};
const kube::ResourceType kSecret{"", "v1", "secrets", "Secret", true};

class KubeReader : public ClusterReader {
 public:
  explicit KubeReader(kube::Client& client) : client_(client) {}

  Result<Data> ConfigMap(const std::string& ns, const std::string& name) override {
    TRY(kube::Json object, client_.Get(kConfigMap, {ns, name}));
    Data data;
    for (const auto& [key, value] : kube::Object(object, "data").items()) {
      if (value.is_string()) data[key] = value.get<std::string>();
    }
    return data;
  }

  Result<Data> Secret(const std::string& ns, const std::string& name) override {
    TRY(kube::Json object, client_.Get(kSecret, {ns, name}));
    Data data;
    for (const auto& [key, value] : kube::Object(object, "data").items()) {
      if (!value.is_string()) continue;
      TRY(data[key], kube::DecodeBase64(value.get<std::string>()));
    }
    return data;
  }

 private:
  kube::Client& client_;
};

}  // namespace

std::unique_ptr<ClusterReader> NewClusterReader(kube::Client& client) {
  return std::make_unique<KubeReader>(client);
}

Registry::Source ConfigMapSource(ClusterReader& reader, const std::string& ns,
                                 const std::string& name) {
  return [&reader, ns, name]() -> Result<Data> {
    Result<Data> data = reader.ConfigMap(ns, name);
    if (data.code() == Code::kNotFound) return Data();
    return data;
  };
}

Result<rpcs::TlsPems> ReadTlsSecret(ClusterReader& reader, const std::string& ns,
                                    const std::string& name) {
  Result<Data> data = reader.Secret(ns, name);
  if (data.code() == Code::kNotFound) {
    return Error(Code::kUnavailable,
                 "the Secret '" + ns + "/" + name + "' is not there yet: the operator writes it");
  }
  if (!data.ok()) return std::move(data).error();
  rpcs::TlsPems pems{(*data)["ca.crt"], (*data)["tls.crt"], (*data)["tls.key"]};
  if (pems.ca.empty() || pems.certificate.empty() || pems.key.empty()) {
    return Error(Code::kUnavailable,
                 "the Secret '" + ns + "/" + name + "' lacks ca.crt, tls.crt or tls.key");
  }
  return pems;
}

}  // namespace tarn::csi
