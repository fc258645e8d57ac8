// A key in a directory of files, such as a Secret of Kubernetes mounted as a volume.
//
// Each file is one version of the key: 32 random bytes, raw or as base64 text (white space around
// is ignored). Its name only orders it: the newest version is the last one when runs of digits are
// compared as numbers and all else as bytes (so v9 < v10, 2026-01 < 2026-11). Which version wrapped
// something is known by a fingerprint of the key, so files may be renamed. Names that begin with a
// dot are none (kubelet's ..data among them), nor are directories. What is needed is read again at
// each call, so a change is seen at once, and a file that is gone is a key that is gone: kNotFound,
// unless another cannot be read, which may be that one: kUnavailable.
// A file of another size is being written, or broken: kUnavailable. So is a directory that changes
// while it is read, since kubelet removes the files of an old Secret one by one. Files that may not
// be read are kDenied when that is so of all of them.
//
// Key files that others than the owner may read are kDenied for wrapping, and named in a warning
// once when they only unwrap, so that no mode bit takes data away. Not in a mounted Secret (it has
// ..data): there, kubelet sets the modes, and nobody but the pod sees the files.
//
// Wrapped with XAES-256-GCM under the key.
#pragma once

#include <memory>
#include <string>

#include "server/keys/provider.h"

namespace tarn::keys {

inline constexpr size_t kKeyFilesMax = 64;  // versions in one directory

// kInvalid: not absolute. The directory need not be there yet.
Result<std::unique_ptr<KeyProvider>> OpenFileProvider(const std::string& directory);

// Is the version of this name older than the other? Strict weak order; for tests.
bool OlderVersion(std::string_view a, std::string_view b);

}  // namespace tarn::keys
