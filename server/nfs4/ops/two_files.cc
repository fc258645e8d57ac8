#include "server/nfs4/ops/two_files.h"

#include <utility>

namespace tarn::nfs4::ops {
namespace {

// The saved file in place of the current one, for as long as this lives.
class OnSaved {
 public:
  explicit OnSaved(Compound& c) : c_(c) { Swap(); }
  ~OnSaved() { Swap(); }
  OnSaved(const OnSaved&) = delete;
  OnSaved& operator=(const OnSaved&) = delete;

 private:
  void Swap() {
    std::swap(c_.current, c_.saved);
    std::swap(c_.current_stateid, c_.saved_stateid);
    c_.fresh.reset();
  }
  Compound& c_;
};

}  // namespace

nfsstat4 CheckTransfer(Compound& c, const stateid4& source_state, const stateid4& target_state,
                       vfs::DataPlace& source, vfs::DataPlace& target) {
  if (!c.saved) return NFS4ERR_NOFILEHANDLE;
  bool together = c.saved.exported->file_system == c.exported().file_system &&
                  c.saved.exported->number == c.exported().number;
  if (!together) return NFS4ERR_XDEV;
  {
    OnSaved on_saved(c);
    NFS_TRY(CheckRegular(c));
    NFS_TRY(c.CheckIo(source_state, true, false, source.opened));
    source.file = c.current.id;
  }
  NFS_TRY(CheckRegular(c));
  NFS_TRY(c.CheckIo(target_state, false, true, target.opened));
  target.file = c.current.id;
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
