// The gRPC service of api/control.proto over a Manager, with one audit line a call.
//
// Audit lines (server/audit/log.h) are like
// {"audit":"CreateAccessPoint","who":"CN=tarn-csi","role":"provisioner","peer":"ipv4:…",
// "resource":"fs-…","result":"ok","ms":3}; one that authorisation.h refuses has "layer":"role".
// Changes and failures at level info, successful reads at
// debug: a node asks for the usage of each of its volumes every minute.
#pragma once

#include <memory>

namespace grpc {
class Service;
}

namespace tarn::control {

class Manager;

// `manager` must outlive the service, and the gRPC server that has it.
std::unique_ptr<grpc::Service> NewService(Manager& manager);

}  // namespace tarn::control
