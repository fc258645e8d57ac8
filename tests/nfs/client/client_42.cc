// What minor version 2 adds: RFC 7862, and RFC 8276 for extended attributes.
#include "tests/nfs/client/client.h"

namespace tarn::nfs_client {

using namespace nfs4;

nfsstat4 Client::Allocate(const Fh& fh, const stateid4& state, uint64_t offset, uint64_t length) {
  Compound compound;
  compound.Put(fh).Add(
      OP_ALLOCATE, ALLOCATE4args{.aa_stateid = state, .aa_offset = offset, .aa_length = length});
  return Run(compound).status;
}

nfsstat4 Client::Deallocate(const Fh& fh, const stateid4& state, uint64_t offset, uint64_t length) {
  Compound compound;
  compound.Put(fh).Add(OP_DEALLOCATE, DEALLOCATE4args{
                                          .da_stateid = state,
                                          .da_offset = offset,
                                          .da_length = length,
                                      });
  return Run(compound).status;
}

Answer<seek_res4> Client::Seek(const Fh& fh, const stateid4& state, uint64_t offset,
                               data_content4 what) {
  Compound compound;
  compound.Put(fh).Add(OP_SEEK,
                       SEEK4args{.sa_stateid = state, .sa_offset = offset, .sa_what = what});
  CompoundReply reply = Run(compound);
  Answer<seek_res4> answer{.status = reply.status, .value = {}};
  if (answer.ok()) answer.value = reply.Get<SEEK4res>(1).resok4;
  return answer;
}

Answer<ReadPlusAnswer> Client::ReadPlus(const Fh& fh, const stateid4& state, uint64_t offset,
                                        uint32_t count) {
  Compound compound;
  compound.Put(fh).Add(OP_READ_PLUS, READ_PLUS4args{
                                         .rpa_stateid = state,
                                         .rpa_offset = offset,
                                         .rpa_count = count,
                                     });
  CompoundReply reply = Run(compound);
  Answer<ReadPlusAnswer> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  const read_plus_res4& ok = reply.Get<READ_PLUS4res>(1).rp_resok4;
  answer->end = ok.rpr_eof;
  for (const read_plus_content& content : ok.rpr_contents) {
    Segment& segment = answer->segments.emplace_back();
    segment.hole = content.rpc_content == NFS4_CONTENT_HOLE;
    segment.offset = segment.hole ? content.rpc_hole.di_offset : content.rpc_data.d_offset;
    xdr::Opaque data = content.rpc_data.d_data;
    segment.length = segment.hole ? content.rpc_hole.di_length : data.size();
    segment.data.assign(data.begin(), data.end());
  }
  return answer;
}

nfsstat4 Client::Clone(const OpenFile& from, const OpenFile& to, uint64_t from_offset,
                       uint64_t to_offset, uint64_t length) {
  Compound compound;
  compound.Put(from.fh).SaveFh().Put(to.fh).Add(OP_CLONE, CLONE4args{.cl_src_stateid = from.state,
                                                                     .cl_dst_stateid = to.state,
                                                                     .cl_src_offset = from_offset,
                                                                     .cl_dst_offset = to_offset,
                                                                     .cl_count = length});
  return Run(compound).status;
}

Answer<CopyAnswer> Client::Copy(const OpenFile& from, const OpenFile& to, uint64_t from_offset,
                                uint64_t to_offset, uint64_t length, bool synchronous) {
  Compound compound;
  compound.Put(from.fh).SaveFh().Put(to.fh).Add(OP_COPY, COPY4args{.ca_src_stateid = from.state,
                                                                   .ca_dst_stateid = to.state,
                                                                   .ca_src_offset = from_offset,
                                                                   .ca_dst_offset = to_offset,
                                                                   .ca_count = length,
                                                                   .ca_consecutive = true,
                                                                   .ca_synchronous = synchronous,
                                                                   .ca_source_server = {}});
  CompoundReply reply = Run(compound);
  Answer<CopyAnswer> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  const COPY4resok& ok = reply.Get<COPY4res>(3).cr_resok4;
  answer->count = ok.cr_response.wr_count;
  answer->committed = ok.cr_response.wr_committed;
  answer->verifier = ok.cr_response.wr_writeverf;
  answer->synchronous = ok.cr_requirements.cr_synchronous;
  if (!ok.cr_response.wr_callback_id.empty()) answer->job = ok.cr_response.wr_callback_id.front();
  return answer;
}

Answer<OFFLOAD_STATUS4resok> Client::OffloadStatus(const Fh& to, const stateid4& job) {
  Compound compound;
  compound.Put(to).Add(OP_OFFLOAD_STATUS, OFFLOAD_STATUS4args{.osa_stateid = job});
  CompoundReply reply = Run(compound);
  Answer<OFFLOAD_STATUS4resok> answer{.status = reply.status, .value = {}};
  if (answer.ok()) answer.value = reply.Get<OFFLOAD_STATUS4res>(1).osr_resok4;
  return answer;
}

nfsstat4 Client::OffloadCancel(const Fh& to, const stateid4& job) {
  Compound compound;
  compound.Put(to).Add(OP_OFFLOAD_CANCEL, OFFLOAD_CANCEL4args{.oca_stateid = job});
  return Run(compound).status;
}

Answer<std::string> Client::GetXattr(const Fh& file, std::string_view name) {
  Compound compound;
  compound.Put(file).Add(OP_GETXATTR, GETXATTR4args{.gxa_name = name});
  CompoundReply reply = Run(compound);
  Answer<std::string> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  xdr::Opaque value = reply.Get<GETXATTR4res>(1).gxr_value;
  answer->assign(reinterpret_cast<const char*>(value.data()), value.size());
  return answer;
}

Answer<change_info4> Client::SetXattr(const Fh& file, std::string_view name, std::string_view value,
                                      setxattr_option4 option) {
  Compound compound;
  compound.Put(file).Add(
      OP_SETXATTR,
      SETXATTR4args{.sxa_option = option, .sxa_key = name, .sxa_value = AsOpaque(value)});
  CompoundReply reply = Run(compound);
  Answer<change_info4> answer{.status = reply.status, .value = {}};
  if (answer.ok()) answer.value = reply.Get<SETXATTR4res>(1).sxr_info;
  return answer;
}

Answer<XattrPage> Client::ListXattrs(const Fh& file, uint64_t cookie, uint32_t bytes_max) {
  Compound compound;
  compound.Put(file).Add(OP_LISTXATTRS,
                         LISTXATTRS4args{.lxa_cookie = cookie, .lxa_maxcount = bytes_max});
  CompoundReply reply = Run(compound);
  Answer<XattrPage> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  const LISTXATTRS4resok& ok = reply.Get<LISTXATTRS4res>(1).lxr_value;
  answer->names.assign(ok.lxr_names.begin(), ok.lxr_names.end());
  answer->cookie = ok.lxr_cookie;
  answer->end = ok.lxr_eof;
  return answer;
}

Answer<change_info4> Client::RemoveXattr(const Fh& file, std::string_view name) {
  Compound compound;
  compound.Put(file).Add(OP_REMOVEXATTR, REMOVEXATTR4args{.rxa_name = name});
  CompoundReply reply = Run(compound);
  Answer<change_info4> answer{.status = reply.status, .value = {}};
  if (answer.ok()) answer.value = reply.Get<REMOVEXATTR4res>(1).rxr_info;
  return answer;
}

}  // namespace tarn::nfs_client
