#include <array>

#include "server/nfs4/ops/ops.h"

namespace tarn::nfs4 {
namespace {

template <typename Args, nfsstat4 (*F)(Compound&, const Args&)>
nfsstat4 With(Compound& c) {
  Args args;
  if (!Decode(c.from, args)) return NFS4ERR_BADXDR;
  return F(c, args);
}

constexpr size_t kNumbers = 76;  // one past OP_REMOVEXATTR
using Table = std::array<Operation, kNumbers>;

constexpr Operation On(const char* name, nfsstat4 (*run)(Compound&)) {
  Operation op{.name = name, .run = run};
  op.needs_file = true;
  return op;
}
constexpr Operation Free(const char* name, nfsstat4 (*run)(Compound&)) {
  return {.name = name, .run = run};
}
constexpr Operation Reads(Operation op) {
  op.keeps_fresh = true;
  return op;
}
constexpr Operation Passing(Operation op) {
  op.passing = true;
  return op;
}
constexpr Operation GivesUp(Operation op) {
  op.gives_up = true;
  return op;
}
constexpr Operation Quick(Operation op) {
  op.quick = true;
  return op;
}
// Of a 4.0 owner: its seqid protects it.
constexpr Operation Sequenced(Operation op) {
  op.changes = true;
  return op;
}
constexpr Operation Changes(Operation op) {
  op.changes = op.no_seqid = true;
  return op;
}
constexpr Operation Once(Operation op) {
  op.once = true;
  return op;
}
constexpr Operation Only40(Operation op) {
  op.minor_max = 0;
  return op;
}
constexpr Operation From(uint32_t minor, Operation op) {
  op.minor_min = minor;
  return op;
}
constexpr Operation Alone(Operation op) {
  op.minor_min = 1;
  op.alone = true;
  return op;
}

void AddFiles(Table& t) {
  using namespace ops;
  t[3] = Passing(Quick(Reads(On("ACCESS", With<ACCESS4args, Access>))));
  t[5] = On("COMMIT", With<COMMIT4args, Commit>);
  t[6] = Once(Changes(On("CREATE", With<CREATE4args, Create>)));
  t[9] = Quick(Reads(Passing(On("GETATTR", With<GETATTR4args, GetAttr>))));
  t[10] = Quick(Reads(Passing(On("GETFH", GetFh))));
  t[11] = Once(Changes(On("LINK", With<LINK4args, Link>)));
  t[15] = Quick(Passing(On("LOOKUP", With<LOOKUP4args, Lookup>)));
  t[16] = Quick(On("LOOKUPP", LookupP));
  t[17] = Quick(On("NVERIFY", With<NVERIFY4args, NVerify>));
  t[19] = On("OPENATTR", With<OPENATTR4args, OpenAttr>);
  t[22] = Quick(Free("PUTFH", With<PUTFH4args, PutFh>));
  t[23] = Quick(Free("PUTPUBFH", PutRootFh));
  t[24] = Quick(Free("PUTROOTFH", PutRootFh));
  t[25] = Quick(On("READ", With<READ4args, ops::Read>));  // says itself when not
  t[26] = On("READDIR", With<READDIR4args, ReadDir>);
  t[27] = On("READLINK", ReadLink);
  t[28] = Once(Changes(On("REMOVE", With<REMOVE4args, Remove>)));
  t[29] = Once(Changes(On("RENAME", With<RENAME4args, Rename>)));
  t[31] = Quick(Free("RESTOREFH", RestoreFh));
  t[32] = Quick(Reads(On("SAVEFH", SaveFh)));
  t[33] = Quick(On("SECINFO", With<SECINFO4args, SecInfo>));
  t[34] = Changes(On("SETATTR", With<SETATTR4args, SetAttr>));
  t[37] = Quick(On("VERIFY", With<VERIFY4args, Verify>));
  t[38] = Quick(On("WRITE", With<WRITE4args, ops::Write>));  // says itself when not
  t[52] = Quick(From(1, Passing(On("SECINFO_NO_NAME", With<SECINFO_NO_NAME4args, SecInfoNoName>))));
}

void AddState(Table& t) {
  using namespace ops;
  t[4] = GivesUp(Sequenced(On("CLOSE", With<CLOSE4args, Close>)));
  t[7] = Free("DELEGPURGE", With<DELEGPURGE4args, DelegPurge>);
  t[8] = GivesUp(On("DELEGRETURN", With<DELEGRETURN4args, DelegReturn>));
  t[12] = Sequenced(On("LOCK", With<LOCK4args, Lock>));
  t[13] = Quick(On("LOCKT", With<LOCKT4args, LockT>));
  t[14] = GivesUp(Sequenced(On("LOCKU", With<LOCKU4args, LockU>)));
  t[18] = Once(Sequenced(On("OPEN", With<OPEN4args, Open>)));
  t[20] = Only40(Sequenced(On("OPEN_CONFIRM", With<OPEN_CONFIRM4args, OpenConfirm>)));
  t[21] = Sequenced(On("OPEN_DOWNGRADE", With<OPEN_DOWNGRADE4args, OpenDowngrade>));
  t[30] = Quick(Only40(Free("RENEW", With<RENEW4args, Renew>)));
  t[35] = Only40(Free("SETCLIENTID", With<SETCLIENTID4args, SetClientid>));
  t[36] = Only40(Free("SETCLIENTID_CONFIRM", With<SETCLIENTID_CONFIRM4args, SetClientidConfirm>));
  t[39] = Only40(Free("RELEASE_LOCKOWNER", With<RELEASE_LOCKOWNER4args, ReleaseLockowner>));
  t[40] = From(1, Free("BACKCHANNEL_CTL", With<BACKCHANNEL_CTL4args, BackchannelCtl>));
  t[41] = Alone(Free("BIND_CONN_TO_SESSION", With<BIND_CONN_TO_SESSION4args, BindConnToSession>));
  t[42] = Alone(Free("EXCHANGE_ID", With<EXCHANGE_ID4args, ExchangeId>));
  t[43] = Alone(Free("CREATE_SESSION", With<CREATE_SESSION4args, CreateSession>));
  t[44] = Alone(Free("DESTROY_SESSION", With<DESTROY_SESSION4args, DestroySession>));
  t[45] = From(1, Free("FREE_STATEID", With<FREE_STATEID4args, FreeStateid>));
  t[53] = Quick(From(1, Free("SEQUENCE", With<SEQUENCE4args, ops::Sequence>)));
  t[55] = Quick(From(1, Free("TEST_STATEID", With<TEST_STATEID4args, TestStateid>)));
  t[57] = Alone(Free("DESTROY_CLIENTID", With<DESTROY_CLIENTID4args, DestroyClientid>));
  t[58] = From(1, Free("RECLAIM_COMPLETE", With<RECLAIM_COMPLETE4args, ReclaimComplete>));
}

// RFC 7862 and, for extended attributes, RFC 8276.
void Add42(Table& t) {
  using namespace ops;
  t[59] = From(2, Once(Changes(On("ALLOCATE", With<ALLOCATE4args, Allocate>))));
  t[60] = From(2, Once(Changes(On("COPY", With<COPY4args, Copy>))));
  t[62] = From(2, Once(Changes(On("DEALLOCATE", With<DEALLOCATE4args, Deallocate>))));
  t[63] = From(2, Quick(On("IO_ADVISE", With<IO_ADVISE4args, IoAdvise>)));
  t[66] = From(2, GivesUp(Quick(On("OFFLOAD_CANCEL", With<OFFLOAD_CANCEL4args, OffloadCancel>))));
  t[67] = From(2, Quick(On("OFFLOAD_STATUS", With<OFFLOAD_STATUS4args, OffloadStatus>)));
  t[68] = From(2, On("READ_PLUS", With<READ_PLUS4args, ReadPlus>));
  t[69] = From(2, Quick(On("SEEK", With<SEEK4args, Seek>)));
  t[71] = From(2, Once(Changes(On("CLONE", With<CLONE4args, Clone>))));
  t[72] = From(2, On("GETXATTR", With<GETXATTR4args, GetXattr>));
  t[73] = From(2, Once(Changes(On("SETXATTR", With<SETXATTR4args, SetXattr>))));
  t[74] = From(2, On("LISTXATTRS", With<LISTXATTRS4args, ListXattrs>));
  t[75] = From(2, Once(Changes(On("REMOVEXATTR", With<REMOVEXATTR4args, RemoveXattr>))));
}

// What EFS does not offer. 4.1: delegations of directories, pNFS, SSV. 4.2: copies between servers
// (COPY_NOTIFY), what layouts report (LAYOUTERROR, LAYOUTSTATS), WRITE_SAME.
void AddUnsupported(Table& t) {
  for (uint32_t number : {46U, 47U, 48U, 49U, 50U, 51U, 54U, 56U}) {
    t[number] = From(1, Free("unsupported 4.1 operation", nullptr));
  }
  for (uint32_t number : {61U, 64U, 65U, 70U}) {
    t[number] = From(2, Free("unsupported 4.2 operation", nullptr));
  }
}

Table MakeTable() {
  Table table;
  AddFiles(table);
  AddState(table);
  Add42(table);
  AddUnsupported(table);
  return table;
}

}  // namespace

const Operation* FindOperation(nfs_opnum4 number) {
  static const Table kTable = MakeTable();
  auto index = static_cast<uint32_t>(number);
  bool known = index < kNumbers && kTable[index].name != nullptr;
  return known ? &kTable[index] : nullptr;
}

}  // namespace tarn::nfs4
