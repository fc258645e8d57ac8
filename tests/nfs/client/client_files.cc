// Names, attributes and directories.
#include "tests/nfs/client/client.h"

namespace tarn::nfs_client {

using namespace nfs4;

Answer<Fh> Client::FhOf(Compound& compound) {
  size_t at = compound.count();
  compound.GetFh();
  CompoundReply reply = Run(compound);
  Answer<Fh> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  xdr::Opaque fh = reply.Get<GETFH4res>(at).resok4.object;
  answer.value.assign(fh.begin(), fh.end());
  return answer;
}

Answer<Fh> Client::Root() {
  Compound compound;
  compound.Root();
  return FhOf(compound);
}

Answer<Fh> Client::Lookup(const Fh& directory, std::string_view name) {
  Compound compound;
  compound.Put(directory).Lookup(name);
  return FhOf(compound);
}

Answer<Fh> Client::LookupParent(const Fh& directory) {
  Compound compound;
  compound.Put(directory).Add(OP_LOOKUPP);
  return FhOf(compound);
}

Answer<Fh> Client::Walk(std::string_view path) {
  Compound compound;
  compound.Root();
  while (!path.empty()) {
    size_t slash = std::min(path.find('/'), path.size());
    compound.Lookup(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return FhOf(compound);
}

Answer<Fh> Client::Mkdir(const Fh& directory, std::string_view name, const SetAttributes& set) {
  SetAttributes with_mode = set;
  if (!with_mode.mode) with_mode.mode = 0755;
  EncodedAttributes attributes(with_mode);
  Compound compound;
  compound.Put(directory).Add(
      OP_CREATE,
      CREATE4args{.objtype = {.type = NF4DIR}, .objname = name, .createattrs = attributes.view()});
  return FhOf(compound);
}

Answer<Fh> Client::Symlink(const Fh& directory, std::string_view name, std::string_view target) {
  Compound compound;
  compound.Put(directory).Add(
      OP_CREATE,
      CREATE4args{
          .objtype = {.type = NF4LNK, .linkdata = target}, .objname = name, .createattrs = {}});
  return FhOf(compound);
}

Answer<Fh> Client::MakeNode(const Fh& directory, std::string_view name, nfs_ftype4 type,
                            const specdata4& device) {
  Compound compound;
  compound.Put(directory).Add(OP_CREATE, CREATE4args{.objtype = {.type = type, .devdata = device},
                                                     .objname = name,
                                                     .createattrs = {}});
  return FhOf(compound);
}

Answer<std::string> Client::Readlink(const Fh& symlink) {
  Compound compound;
  compound.Put(symlink).Add(OP_READLINK);
  CompoundReply reply = Run(compound);
  Answer<std::string> answer{.status = reply.status, .value = {}};
  if (answer.ok()) answer.value = reply.Get<READLINK4res>(1).resok4.link;
  return answer;
}

nfsstat4 Client::Remove(const Fh& directory, std::string_view name) {
  Compound compound;
  compound.Put(directory).Add(OP_REMOVE, REMOVE4args{.target = name});
  return Run(compound).status;
}

nfsstat4 Client::Rename(const Fh& from, std::string_view name, const Fh& to,
                        std::string_view new_name) {
  Compound compound;
  compound.Put(from).SaveFh().Put(to).Add(OP_RENAME,
                                          RENAME4args{.oldname = name, .newname = new_name});
  return Run(compound).status;
}

nfsstat4 Client::Link(const Fh& file, const Fh& directory, std::string_view name) {
  Compound compound;
  compound.Put(file).SaveFh().Put(directory).Add(OP_LINK, LINK4args{.newname = name});
  return Run(compound).status;
}

Answer<Attributes> Client::GetAttributes(const Fh& file, const xdr::Bitmap& wanted) {
  Compound compound;
  compound.Put(file).GetAttr(wanted);
  CompoundReply reply = Run(compound);
  Answer<Attributes> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  if (!Parse(reply.Get<GETATTR4res>(1).resok4.obj_attributes, answer.value)) {
    answer.status = kNoAnswer;
  }
  return answer;
}

nfsstat4 Client::SetAttributesOf(const Fh& file, const SetAttributes& set, const stateid4& state) {
  EncodedAttributes attributes(set);
  Compound compound;
  compound.Put(file).Add(OP_SETATTR,
                         SETATTR4args{.stateid = state, .obj_attributes = attributes.view()});
  return Run(compound).status;
}

Answer<uint32_t> Client::Access(const Fh& file, uint32_t wanted) {
  Compound compound;
  compound.Put(file).Add(OP_ACCESS, ACCESS4args{.access = wanted});
  CompoundReply reply = Run(compound);
  Answer<uint32_t> answer{.status = reply.status, .value = 0};
  if (answer.ok()) answer.value = reply.Get<ACCESS4res>(1).resok4.access;
  return answer;
}

Answer<DirectoryPage> Client::ReadDirectory(const Fh& directory, uint64_t cookie,
                                            const verifier4& verifier, uint32_t bytes_max,
                                            const xdr::Bitmap& wanted) {
  Compound compound;
  compound.Put(directory).Add(OP_READDIR, READDIR4args{.cookie = cookie,
                                                       .cookieverf = verifier,
                                                       .dircount = bytes_max,
                                                       .maxcount = bytes_max,
                                                       .attr_request = wanted});
  CompoundReply reply = Run(compound);
  Answer<DirectoryPage> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  const READDIR4resok& ok = reply.Get<READDIR4res>(1).resok4;
  answer->verifier = ok.cookieverf;
  answer->end = ok.reply.eof;
  for (const entry4& entry : ok.reply.entries) {
    DirectoryEntry& made = answer->entries.emplace_back();
    made.cookie = entry.cookie;
    made.name = entry.name;
    if (!Parse(entry.attrs, made.attributes)) answer.status = kNoAnswer;
  }
  return answer;
}

Answer<std::vector<DirectoryEntry>> Client::ReadAllOf(const Fh& directory, uint32_t bytes_max,
                                                      const xdr::Bitmap& wanted) {
  Answer<std::vector<DirectoryEntry>> all{.status = NFS4_OK, .value = {}};
  uint64_t cookie = 0;
  verifier4 verifier{};
  for (bool end = false; !end;) {
    auto page = ReadDirectory(directory, cookie, verifier, bytes_max, wanted);
    if (!page.ok()) return {.status = page.status, .value = {}};
    if (page->entries.empty() && !page->end) return {};  // it would go on for ever
    end = page->end;
    verifier = page->verifier;
    if (!page->entries.empty()) cookie = page->entries.back().cookie;
    for (DirectoryEntry& entry : page->entries) all.value.push_back(std::move(entry));
  }
  return all;
}

}  // namespace tarn::nfs_client
