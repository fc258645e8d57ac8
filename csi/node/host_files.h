// HostFiles: what the mount helper reads on this node (docs/mount-helper.md), kept in a directory
// of the host: "registry/fs-….json", the registry of file systems, and "nfs-ca.crt", the
// certificates that may have signed file servers'. Copies of what this plugin was given, no
// secrets; a file is replaced as a whole.
//
// Threads: one.
#pragma once

#include <map>
#include <string>

#include "common/result.h"
#include "csi/registry.h"

namespace tarn::csi {

class HostFiles {
 public:
  // `authority_file` may be empty: then there is none.
  HostFiles(std::string directory, Registry::Source registry, std::string authority_file)
      : directory_(std::move(directory)),
        registry_(std::move(registry)),
        authority_file_(std::move(authority_file)) {}

  // Writes what changed and removes what is gone. What cannot be read stays as it is; an error is
  // for the log, and gone with a later call.
  Result<void> Sync();

 private:
  Result<void> Put(const std::string& name, const std::string& text);

  const std::string directory_;
  const Registry::Source registry_;
  const std::string authority_file_;
  std::map<std::string, std::string> written_;  // by name below the directory
};

}  // namespace tarn::csi
