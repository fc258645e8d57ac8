// Files that users give to a file system's server, each as an entry of an object that the spec
// names, in the FileSystem's namespace:
//   spec.accessKeysSecretRef     access-keys.json, server/identity/access_keys.h: by whose
//                                signatures it knows clients of the original EFS mount helper
//   spec.userGroupsConfigMapRef  user-groups.json, server/identity/user_groups.h: which groups
//                                users are in, whatever their calls say
//
// The server is given a copy, NAME-nfs-access-keys or NAME-nfs-user-groups, which is always there
// and always right, so that no mistake in a user's object keeps a server from starting. An object
// or entry that is gone takes access keys away, and leaves users' groups as they were; one that
// makes no sense changes nothing. A condition says either: AccessKeysRead, UserGroupsRead. No
// content is in events, conditions or logs.
#pragma once

#include <span>

#include "operator/context.h"
#include "operator/names.h"
#include "operator/status_draft.h"

namespace tarn::op {

struct ServerFile {
  const char* flag;   // the server's, which names the volume and the entry, too
  const char* field;  // of the spec: an object with the name
  bool secret;        // it is a Secret; else a ConfigMap
  const char* title;  // of condition and event
  const char* none;   // the file of one that has none
  // What follows from it, for people.
  const char* read;    // "Secret NAME: " …
  const char* before;  // the file stays: "until then " …
  const char* absent;  // object or entry is gone, and so the file is `none`; null: it stays
  Result<void> (*check)(std::string_view file);

  const kube::ResourceType& Type() const { return secret ? kSecret : kConfigMap; }
  std::string Entry() const { return std::string(flag) + ".json"; }
  // The name of the user's object; empty: the spec names none.
  std::string Named(const Json& file_system) const;
  // The copy's, in the file system's namespace.
  std::string CopyName(const Json& file_system) const;
  // The text of the entry in an object of the type; empty: there is none.
  std::string In(const Json& object) const;
};

// All of them.
std::span<const ServerFile> ServerFiles();

// Makes the copies so, where the spec names an object or did so before.
Result<void> EnsureServerFiles(Context& context, const Json& file_system, StatusDraft& status);

}  // namespace tarn::op
