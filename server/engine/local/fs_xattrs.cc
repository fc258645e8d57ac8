// Extended attributes: not built yet.
#include "server/engine/local/local_file_system.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<std::string> LocalFileSystem::GetXattr(const Caller&, FileId, std::string_view) {
  return Error(Code::kNotSupported);
}

Result<FileChange> LocalFileSystem::SetXattr(const Caller&, FileId, std::string_view,
                                             std::string_view, XattrMode) {
  return Error(Code::kNotSupported);
}

Result<bool> LocalFileSystem::ListXattrs(const Caller&, FileId, uint64_t, const XattrVisitor&) {
  return Error(Code::kNotSupported);
}

Result<FileChange> LocalFileSystem::RemoveXattr(const Caller&, FileId, std::string_view) {
  return Error(Code::kNotSupported);
}

}  // namespace tarn::local
