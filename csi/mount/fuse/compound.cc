#include "csi/mount/fuse/compound.h"

#include <arpa/inet.h>
#include <sys/sysmacros.h>

namespace tarn::fuse {

namespace {

constexpr size_t kSmall = 64;        // an operation of numbers, stateids and owners
constexpr size_t kAttributes = 256;  // an operation that carries attributes

char* Bytes(std::string_view text) {
  return const_cast<char*>(text.data());  // libnfs only reads when it encodes
}

utf8string Text(std::string_view text) {
  return {static_cast<u_int>(text.size()), Bytes(text)};
}

stateid4 ToWire(const StateId& state) {
  stateid4 wire{state.seqid, {}};
  std::memcpy(wire.other, state.other.data(), sizeof(wire.other));
  return wire;
}

// The owner's name: fixed text and its number. `name` must outlive the encoding.
struct OwnerName {
  explicit OwnerName(const Owner& owner) : client(owner.client) {
    std::memcpy(bytes, "tarn", 4);
    std::memcpy(bytes + 4, &owner.number, 8);
  }
  template <typename T>
  T ToWire() {
    return T{client, {sizeof(bytes), bytes}};
  }
  uint64_t client;
  char bytes[12];
};

template <uint32_t... kBits>
struct Wanted {
  uint32_t words[2] = {((kBits < 32 ? 1U << (kBits % 32) : 0) | ...),
                       ((kBits >= 32 ? 1U << (kBits % 32) : 0) | ...)};
};

Wanted<FATTR4_TYPE, FATTR4_CHANGE, FATTR4_SIZE, FATTR4_FILEID, FATTR4_MODE, FATTR4_NUMLINKS,
       FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_RAWDEV, FATTR4_SPACE_USED, FATTR4_TIME_ACCESS,
       FATTR4_TIME_METADATA, FATTR4_TIME_MODIFY>
    wanted_of_objects;
Wanted<FATTR4_TYPE, FATTR4_CHANGE, FATTR4_SIZE, FATTR4_RDATTR_ERROR, FATTR4_FILEHANDLE,
       FATTR4_FILEID, FATTR4_MODE, FATTR4_NUMLINKS, FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_RAWDEV,
       FATTR4_SPACE_USED, FATTR4_TIME_ACCESS, FATTR4_TIME_METADATA, FATTR4_TIME_MODIFY>
    wanted_of_entries;
Wanted<FATTR4_TYPE, FATTR4_RDATTR_ERROR, FATTR4_FILEID> wanted_of_names;
Wanted<FATTR4_LEASE_TIME, FATTR4_MAXREAD, FATTR4_MAXWRITE> wanted_of_server;
Wanted<FATTR4_FILES_AVAIL, FATTR4_FILES_FREE, FATTR4_FILES_TOTAL, FATTR4_SPACE_AVAIL,
       FATTR4_SPACE_FREE, FATTR4_SPACE_TOTAL>
    wanted_of_space;

template <typename W>
bitmap4 ToWire(W& wanted) {
  return {2, wanted.words};
}

// The attributes of a change as fattr4, in the order of their numbers (RFC 7530 section 2.2.7).
class ChangeBody {
 public:
  explicit ChangeBody(const AttributeChange& change) {
    using C = AttributeChange;
    if ((change.set & C::kSize) != 0) Put64(FATTR4_SIZE, change.size);
    if ((change.set & C::kMode) != 0) Put32(FATTR4_MODE, change.mode);
    if ((change.set & C::kUid) != 0) PutId(FATTR4_OWNER, change.uid);
    if ((change.set & C::kGid) != 0) PutId(FATTR4_OWNER_GROUP, change.gid);
    if ((change.set & C::kAtimeNow) != 0) Put32(FATTR4_TIME_ACCESS_SET, SET_TO_SERVER_TIME4);
    if ((change.set & C::kAtime) != 0) PutTime(FATTR4_TIME_ACCESS_SET, change.atime);
    if ((change.set & C::kMtimeNow) != 0) Put32(FATTR4_TIME_MODIFY_SET, SET_TO_SERVER_TIME4);
    if ((change.set & C::kMtime) != 0) PutTime(FATTR4_TIME_MODIFY_SET, change.mtime);
  }
  fattr4 ToWire() { return {{2, words_}, {static_cast<u_int>(body_.size()), body_.data()}}; }

 private:
  void Mark(uint32_t bit) { words_[bit / 32] |= 1U << (bit % 32); }
  void Raw32(uint32_t value) {
    value = htonl(value);
    body_.append(reinterpret_cast<const char*>(&value), 4);
  }
  void Raw64(uint64_t value) {
    Raw32(static_cast<uint32_t>(value >> 32));
    Raw32(static_cast<uint32_t>(value));
  }
  void Put32(uint32_t bit, uint32_t value) { Mark(bit), Raw32(value); }
  void Put64(uint32_t bit, uint64_t value) { Mark(bit), Raw64(value); }
  void PutId(uint32_t bit, uint32_t id) {
    std::string text = std::to_string(id);
    Put32(bit, static_cast<uint32_t>(text.size()));
    text.resize((text.size() + 3) & ~size_t{3});
    body_ += text;
  }
  void PutTime(uint32_t bit, const timespec& time) {
    Put32(bit, SET_TO_CLIENT_TIME4);
    Raw64(static_cast<uint64_t>(time.tv_sec));
    Raw32(static_cast<uint32_t>(time.tv_nsec));
  }
  uint32_t words_[2] = {0, 0};
  std::string body_;
};

nfs_argop4 Operation(nfs_opnum4 number) {
  nfs_argop4 op{};
  op.argop = number;
  return op;
}

}  // namespace

Compound::Compound() {
  bytes_.resize(512);
  used_ = 12;  // an empty tag, minor version 0, and the count, which Gather's reader needs in place
}

Compound& Compound::Append(nfs_argop4& op, size_t room) {
  if (bytes_.size() < used_ + room) bytes_.resize(2 * (used_ + room));
  ZDR zdr;
  zdrmem_create(&zdr, bytes_.data() + used_, static_cast<uint32_t>(room), ZDR_ENCODE);
  if (zdr_nfs_argop4(&zdr, &op) != 0) {
    used_ += zdr_getpos(&zdr);
    ++operations_;
    uint32_t count = htonl(operations_);
    std::memcpy(bytes_.data() + 8, &count, sizeof(count));
  }
  zdr_destroy(&zdr);
  return *this;
}

void Compound::Gather(std::vector<iovec>& out) const {
  static const char zeros[4] = {};
  char* bytes = const_cast<char*>(bytes_.data());
  if (bulk_.empty()) {
    out.push_back({bytes, used_});
    return;
  }
  out.push_back({bytes, bulk_at_});
  out.push_back({const_cast<char*>(bulk_.data()), bulk_.size()});
  if (Padding() != 0) out.push_back({const_cast<char*>(zeros), Padding()});
  if (used_ != bulk_at_) out.push_back({bytes + bulk_at_, used_ - bulk_at_});
}

Compound& Compound::Plain(nfs_opnum4 number) {
  nfs_argop4 op = Operation(number);
  return Append(op, kSmall);
}

Compound& Compound::PutFh(const FileHandle& handle) {
  nfs_argop4 op = Operation(OP_PUTFH);
  op.nfs_argop4_u.opputfh.object = {static_cast<u_int>(handle.size()), Bytes(handle.view())};
  return Append(op, kSmall + FileHandle::kBytesMax);
}

Compound& Compound::Lookup(std::string_view name) {
  nfs_argop4 op = Operation(OP_LOOKUP);
  op.nfs_argop4_u.oplookup.objname = Text(name);
  return Append(op, kSmall + name.size());
}

Compound& Compound::GetAttr() {
  nfs_argop4 op = Operation(OP_GETATTR);
  op.nfs_argop4_u.opgetattr.attr_request = ToWire(wanted_of_objects);
  return Append(op, kSmall);
}

Compound& Compound::GetServerInfo() {
  nfs_argop4 op = Operation(OP_GETATTR);
  op.nfs_argop4_u.opgetattr.attr_request = ToWire(wanted_of_server);
  return Append(op, kSmall);
}

Compound& Compound::GetSpace() {
  nfs_argop4 op = Operation(OP_GETATTR);
  op.nfs_argop4_u.opgetattr.attr_request = ToWire(wanted_of_space);
  return Append(op, kSmall);
}

Compound& Compound::Access(uint32_t bits) {
  nfs_argop4 op = Operation(OP_ACCESS);
  op.nfs_argop4_u.opaccess.access = bits;
  return Append(op, kSmall);
}

Compound& Compound::Read(uint64_t offset, uint32_t bytes) {
  nfs_argop4 op = Operation(OP_READ);
  op.nfs_argop4_u.opread = {ToWire(StateId{}), offset, bytes};
  return Append(op, kSmall);
}

Compound& Compound::Write(uint64_t offset, stable_how4 stable, std::span<const char> data) {
  nfs_argop4 op = Operation(OP_WRITE);
  op.nfs_argop4_u.opwrite = {ToWire(StateId{}), offset, stable, {0, nullptr}};
  Append(op, kSmall);
  uint32_t size = htonl(static_cast<uint32_t>(data.size()));
  std::memcpy(bytes_.data() + used_ - sizeof(size), &size, sizeof(size));
  bulk_ = data;
  bulk_at_ = used_;
  return *this;
}

Compound& Compound::Commit() {
  nfs_argop4 op = Operation(OP_COMMIT);
  op.nfs_argop4_u.opcommit = {0, 0};
  return Append(op, kSmall);
}

Compound& Compound::SetAttr(const AttributeChange& change) {
  ChangeBody body(change);
  nfs_argop4 op = Operation(OP_SETATTR);
  op.nfs_argop4_u.opsetattr = {ToWire(StateId{}), body.ToWire()};
  return Append(op, kAttributes);
}

Compound& Compound::Create(nfs_ftype4 type, std::string_view name, std::string_view target,
                           dev_t rdev, const AttributeChange& attributes) {
  ChangeBody body(attributes);
  nfs_argop4 op = Operation(OP_CREATE);
  CREATE4args& args = op.nfs_argop4_u.opcreate;
  args.objtype.type = type;
  if (type == NF4LNK) args.objtype.createtype4_u.linkdata = Text(target);
  if (type == NF4BLK || type == NF4CHR) {
    args.objtype.createtype4_u.devdata = {static_cast<uint32_t>(major(rdev)),
                                          static_cast<uint32_t>(minor(rdev))};
  }
  args.objname = Text(name);
  args.createattrs = body.ToWire();
  return Append(op, kAttributes + name.size() + target.size());
}

Compound& Compound::Remove(std::string_view name) {
  nfs_argop4 op = Operation(OP_REMOVE);
  op.nfs_argop4_u.opremove.target = Text(name);
  return Append(op, kSmall + name.size());
}

Compound& Compound::Rename(std::string_view from, std::string_view to) {
  nfs_argop4 op = Operation(OP_RENAME);
  op.nfs_argop4_u.oprename = {Text(from), Text(to)};
  return Append(op, kSmall + from.size() + to.size());
}

Compound& Compound::Link(std::string_view name) {
  nfs_argop4 op = Operation(OP_LINK);
  op.nfs_argop4_u.oplink.newname = Text(name);
  return Append(op, kSmall + name.size());
}

Compound& Compound::ReadDir(uint64_t cookie, const Verifier& verifier, uint32_t bytes, bool plus) {
  nfs_argop4 op = Operation(OP_READDIR);
  READDIR4args& args = op.nfs_argop4_u.opreaddir;
  args.cookie = cookie;
  std::memcpy(args.cookieverf, verifier.data(), verifier.size());
  args.dircount = bytes;
  args.maxcount = bytes;
  args.attr_request = plus ? ToWire(wanted_of_entries) : ToWire(wanted_of_names);
  return Append(op, kSmall);
}

Compound& Compound::Open(const OpenRequest& request) {
  ChangeBody body(request.attributes);
  OwnerName owner(request.owner);
  nfs_argop4 op = Operation(OP_OPEN);
  OPEN4args& args = op.nfs_argop4_u.opopen;
  args.seqid = request.seqid;
  args.share_access = request.access;
  args.share_deny = OPEN4_SHARE_DENY_NONE;
  args.owner = owner.ToWire<open_owner4>();
  args.openhow.opentype = request.how == CreateHow::kNone ? OPEN4_NOCREATE : OPEN4_CREATE;
  createhow4& how = args.openhow.openflag4_u.how;
  if (request.how == CreateHow::kExclusive) {
    how.mode = EXCLUSIVE4;
    std::memcpy(how.createhow4_u.createverf, request.verifier.data(), request.verifier.size());
  } else if (request.how != CreateHow::kNone) {
    how.mode = request.how == CreateHow::kGuarded ? GUARDED4 : UNCHECKED4;
    how.createhow4_u.createattrs = body.ToWire();
  }
  args.claim.claim = request.reclaim ? CLAIM_PREVIOUS : CLAIM_NULL;
  if (request.reclaim) {
    args.claim.open_claim4_u.delegate_type = OPEN_DELEGATE_NONE;
  } else {
    args.claim.open_claim4_u.file = Text(request.name);
  }
  return Append(op, kAttributes + kSmall + request.name.size());
}

Compound& Compound::OpenConfirm(const StateId& open, uint32_t seqid) {
  nfs_argop4 op = Operation(OP_OPEN_CONFIRM);
  op.nfs_argop4_u.opopen_confirm = {ToWire(open), seqid};
  return Append(op, kSmall);
}

Compound& Compound::Close(const StateId& open, uint32_t seqid) {
  nfs_argop4 op = Operation(OP_CLOSE);
  op.nfs_argop4_u.opclose = {seqid, ToWire(open)};
  return Append(op, kSmall);
}

Compound& Compound::Lock(const LockRequest& request) {
  OwnerName owner(request.owner);
  nfs_argop4 op = Operation(OP_LOCK);
  LOCK4args& args = op.nfs_argop4_u.oplock;
  args.locktype = request.write ? WRITE_LT : READ_LT;
  args.reclaim = request.reclaim ? 1 : 0;
  args.offset = request.offset;
  args.length = request.length;
  args.locker.new_lock_owner = request.first ? 1 : 0;
  if (request.first) {
    args.locker.locker4_u.open_owner = {request.open_seqid, ToWire(request.open),
                                        request.lock_seqid, owner.ToWire<lock_owner4>()};
  } else {
    args.locker.locker4_u.lock_owner = {ToWire(request.lock), request.lock_seqid};
  }
  return Append(op, 2 * kSmall);
}

Compound& Compound::LockTest(bool write, uint64_t offset, uint64_t length, const Owner& who) {
  OwnerName owner(who);
  nfs_argop4 op = Operation(OP_LOCKT);
  op.nfs_argop4_u.oplockt = {write ? WRITE_LT : READ_LT, offset, length,
                             owner.ToWire<lock_owner4>()};
  return Append(op, 2 * kSmall);
}

Compound& Compound::Unlock(const StateId& lock, uint32_t seqid, uint64_t offset, uint64_t length) {
  nfs_argop4 op = Operation(OP_LOCKU);
  op.nfs_argop4_u.oplocku = {READ_LT, seqid, ToWire(lock), offset, length};
  return Append(op, kSmall);
}

Compound& Compound::ReleaseLockOwner(const Owner& who) {
  OwnerName owner(who);
  nfs_argop4 op = Operation(OP_RELEASE_LOCKOWNER);
  op.nfs_argop4_u.oprelease_lockowner.lock_owner = owner.ToWire<lock_owner4>();
  return Append(op, kSmall);
}

Compound& Compound::SetClientId(std::string_view id, const Verifier& verifier) {
  nfs_argop4 op = Operation(OP_SETCLIENTID);
  SETCLIENTID4args& args = op.nfs_argop4_u.opsetclientid;
  std::memcpy(args.client.verifier, verifier.data(), verifier.size());
  args.client.id = {static_cast<u_int>(id.size()), Bytes(id)};
  // No callbacks: this client wants no delegations.
  args.callback.cb_program = 0;
  args.callback.cb_location = {const_cast<char*>("tcp"), const_cast<char*>("0.0.0.0.0.0")};
  return Append(op, 2 * kSmall + id.size());
}

Compound& Compound::SetClientIdConfirm(uint64_t client, const Verifier& confirm) {
  nfs_argop4 op = Operation(OP_SETCLIENTID_CONFIRM);
  op.nfs_argop4_u.opsetclientid_confirm.clientid = client;
  std::memcpy(op.nfs_argop4_u.opsetclientid_confirm.setclientid_confirm, confirm.data(), 8);
  return Append(op, kSmall);
}

Compound& Compound::Renew(uint64_t client) {
  nfs_argop4 op = Operation(OP_RENEW);
  op.nfs_argop4_u.oprenew.clientid = client;
  return Append(op, kSmall);
}

}  // namespace tarn::fuse
