// Tags of resources: a set by key.
#pragma once

#include <string>

#include "api/control.pb.h"

namespace tarn::control {

// The value of the tag "Name", or "": what descriptions show as the name.
std::string NameTag(const google::protobuf::RepeatedPtrField<v1::Tag>& tags);

// A file system with the tag "tarn:delegations" = "on" gives NFS delegations. EFS has none, so that
// no field of its API could say this.
inline constexpr const char* kDelegationsTag = "tarn:delegations";
bool DelegationsTag(const google::protobuf::RepeatedPtrField<v1::Tag>& tags);

}  // namespace tarn::control
