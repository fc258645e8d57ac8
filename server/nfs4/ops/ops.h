// The operations: one function each, one file each, and the table by which the dispatcher finds
// them.
//
// A function gets its decoded arguments, appends the body of its result to compound.to, and returns
// the status. A body after a status that is not NFS4_OK is dropped unless the function sets
// compound.keep_body.
#pragma once

#include "server/nfs4/compound.h"

namespace tarn::nfs4 {

struct Operation {
  const char* name = nullptr;
  nfsstat4 (*run)(Compound&) = nullptr;  // decodes its arguments and runs; null: not supported
  uint32_t minor_min = 0;                // in smaller minor versions the number is illegal
  uint32_t minor_max = UINT32_MAX;       // in larger ones it is not supported
  bool needs_file = false;               // NFS4ERR_NOFILEHANDLE without a current file
  bool alone = false;                    // 4.1: may stand without SEQUENCE, as the only operation
  bool changes = false;                  // what it does must not be done twice
  bool no_seqid = false;                 // 4.0: no owner's seqid protects it from that
  bool once = false;                     // over a restart too, by vfs::ReplayTag
  bool quick = false;                    // never waits for a disk that has the file in its cache
  bool passing = false;                  // also where a root is only passed through, see Rights
  bool gives_up = false;                 // also by who lost the right to be there
  bool keeps_fresh = false;              // Compound::fresh stays true over it
};

// Null for a number that no minor version knows.
const Operation* FindOperation(nfs_opnum4 number);

namespace ops {

nfsstat4 Access(Compound& c, const ACCESS4args& args);
nfsstat4 Allocate(Compound& c, const ALLOCATE4args& args);
nfsstat4 BackchannelCtl(Compound& c, const BACKCHANNEL_CTL4args& args);
nfsstat4 BindConnToSession(Compound& c, const BIND_CONN_TO_SESSION4args& args);
nfsstat4 Clone(Compound& c, const CLONE4args& args);
nfsstat4 Close(Compound& c, const CLOSE4args& args);
nfsstat4 Commit(Compound& c, const COMMIT4args& args);
nfsstat4 Copy(Compound& c, const COPY4args& args);
nfsstat4 Create(Compound& c, const CREATE4args& args);
nfsstat4 CreateSession(Compound& c, const CREATE_SESSION4args& args);
nfsstat4 Deallocate(Compound& c, const DEALLOCATE4args& args);
nfsstat4 DelegPurge(Compound& c, const DELEGPURGE4args& args);
nfsstat4 DelegReturn(Compound& c, const DELEGRETURN4args& args);
nfsstat4 DestroyClientid(Compound& c, const DESTROY_CLIENTID4args& args);
nfsstat4 DestroySession(Compound& c, const DESTROY_SESSION4args& args);
nfsstat4 ExchangeId(Compound& c, const EXCHANGE_ID4args& args);
nfsstat4 FreeStateid(Compound& c, const FREE_STATEID4args& args);
nfsstat4 GetAttr(Compound& c, const GETATTR4args& args);
nfsstat4 GetFh(Compound& c);
nfsstat4 GetXattr(Compound& c, const GETXATTR4args& args);
nfsstat4 IoAdvise(Compound& c, const IO_ADVISE4args& args);
nfsstat4 Link(Compound& c, const LINK4args& args);
nfsstat4 ListXattrs(Compound& c, const LISTXATTRS4args& args);
nfsstat4 Lock(Compound& c, const LOCK4args& args);
nfsstat4 LockT(Compound& c, const LOCKT4args& args);
nfsstat4 LockU(Compound& c, const LOCKU4args& args);
nfsstat4 Lookup(Compound& c, const LOOKUP4args& args);
nfsstat4 LookupP(Compound& c);
nfsstat4 NVerify(Compound& c, const NVERIFY4args& args);
nfsstat4 OffloadCancel(Compound& c, const OFFLOAD_CANCEL4args& args);
nfsstat4 OffloadStatus(Compound& c, const OFFLOAD_STATUS4args& args);
nfsstat4 Open(Compound& c, const OPEN4args& args);
nfsstat4 OpenAttr(Compound& c, const OPENATTR4args& args);
nfsstat4 OpenConfirm(Compound& c, const OPEN_CONFIRM4args& args);
nfsstat4 OpenDowngrade(Compound& c, const OPEN_DOWNGRADE4args& args);
nfsstat4 PutFh(Compound& c, const PUTFH4args& args);
nfsstat4 PutRootFh(Compound& c);
nfsstat4 Read(Compound& c, const READ4args& args);
nfsstat4 ReadDir(Compound& c, const READDIR4args& args);
nfsstat4 ReadLink(Compound& c);
nfsstat4 ReadPlus(Compound& c, const READ_PLUS4args& args);
nfsstat4 ReclaimComplete(Compound& c, const RECLAIM_COMPLETE4args& args);
nfsstat4 ReleaseLockowner(Compound& c, const RELEASE_LOCKOWNER4args& args);
nfsstat4 Remove(Compound& c, const REMOVE4args& args);
nfsstat4 RemoveXattr(Compound& c, const REMOVEXATTR4args& args);
nfsstat4 Rename(Compound& c, const RENAME4args& args);
nfsstat4 Renew(Compound& c, const RENEW4args& args);
nfsstat4 RestoreFh(Compound& c);
nfsstat4 SaveFh(Compound& c);
nfsstat4 SecInfo(Compound& c, const SECINFO4args& args);
nfsstat4 SecInfoNoName(Compound& c, const SECINFO_NO_NAME4args& args);
nfsstat4 Seek(Compound& c, const SEEK4args& args);
nfsstat4 Sequence(Compound& c, const SEQUENCE4args& args);
nfsstat4 SetAttr(Compound& c, const SETATTR4args& args);
nfsstat4 SetClientid(Compound& c, const SETCLIENTID4args& args);
nfsstat4 SetClientidConfirm(Compound& c, const SETCLIENTID_CONFIRM4args& args);
nfsstat4 SetXattr(Compound& c, const SETXATTR4args& args);
nfsstat4 TestStateid(Compound& c, const TEST_STATEID4args& args);
nfsstat4 Verify(Compound& c, const VERIFY4args& args);
nfsstat4 Write(Compound& c, const WRITE4args& args);

}  // namespace ops
}  // namespace tarn::nfs4
