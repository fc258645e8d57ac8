// OPEN's half that works on files: finds or makes the file, checks rights, pins it.
#pragma once

#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4::ops {

struct OpenedFile {
  CurrentFile file;
  vfs::Attributes attributes;
  Pin pin;
  change_info4 cinfo;              // of the directory; zeros where nothing was looked up there
  xdr::Bitmap set;                 // attributes set by creation
  std::optional<uint64_t> resize;  // to be done once the share is taken
};

// After NFS4_OK file.pin holds the file.
nfsstat4 OpenFile(Compound& c, const OPEN4args& args, OpenedFile& file);
// Does file.resize.
nfsstat4 TruncateOpened(Compound& c, OpenedFile& file);

}  // namespace tarn::nfs4::ops
