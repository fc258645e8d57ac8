// Sparse files, clones and copies: not built yet.
#include "server/engine/local/local_file_system.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<void> LocalFileSystem::Allocate(const Caller&, FileId, bool, uint64_t, uint64_t) {
  return Error(Code::kNotSupported);
}

Result<void> LocalFileSystem::Deallocate(const Caller&, FileId, bool, uint64_t, uint64_t) {
  return Error(Code::kNotSupported);
}

Result<SeekResult> LocalFileSystem::Seek(const Caller&, FileId, bool, uint64_t, ExtentKind) {
  return Error(Code::kNotSupported);
}

Result<void> LocalFileSystem::Clone(const Caller&, const DataPlace&, const DataPlace&, uint64_t) {
  return Error(Code::kNotSupported);
}

Result<uint64_t> LocalFileSystem::Copy(const Caller&, const DataPlace&, const DataPlace&,
                                       uint64_t) {
  return Error(Code::kNotSupported);
}

}  // namespace tarn::local
