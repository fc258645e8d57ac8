// READ_PLUS (RFC 7862 section 15.10): what a range holds, with its holes told instead of sent.
//
// Each segment is true of one moment; like a READ that comes in parts, the whole is not.
#include "server/nfs4/ops/files.h"

namespace tarn::nfs4::ops {
namespace {

// Of one reply. A file of many small holes is read in several.
constexpr size_t kSegmentsMax = 64;
// What a segment takes besides its data: its kind, offset, length and padding.
constexpr size_t kSegmentBytes = 24;
// The result's own words, with the status and a margin for what comes after.
constexpr size_t kHeadBytes = 128;

struct Contents {
  bool end_of_file = false;
  std::vector<read_plus_content> segments;
  std::vector<std::unique_ptr<std::byte[]>> memory;
};

class Reader {
 public:
  Reader(Compound& c, const READ_PLUS4args& args, size_t room)
      : c_(c),
        at_(args.rpa_offset),
        end_(args.rpa_offset + std::min<uint64_t>(args.rpa_count, UINT64_MAX - args.rpa_offset)),
        room_(room) {}

  // Everything that fits. `opened` as for vfs::FileSystem::Read.
  Result<Contents> Run(bool opened) {
    Contents contents;
    while (at_ < end_ && room_ > kSegmentBytes && contents.segments.size() < kSegmentsMax) {
      auto data = c_.engine().Seek(c_.caller(), c_.current.id, opened, at_, vfs::ExtentKind::kData);
      if (data.code() == Code::kRange) {
        contents.end_of_file = true;
        break;
      }
      if (!data.ok()) return std::move(data).error();
      if (data->offset > at_) {
        AddHole(std::min(data->offset, end_), contents);
        contents.end_of_file = data->end_of_file && at_ == data->offset;
      } else {
        TRY(auto more, AddData(opened, contents));
        if (!more) break;
      }
      if (contents.end_of_file) break;
    }
    return contents;
  }

 private:
  void AddHole(uint64_t to, Contents& contents) {
    read_plus_content& segment = contents.segments.emplace_back();
    segment.rpc_content = NFS4_CONTENT_HOLE;
    segment.rpc_hole = {.di_offset = at_, .di_length = to - at_};
    room_ -= kSegmentBytes;
    at_ = to;
  }

  // False when the file got shorter meanwhile.
  Result<bool> AddData(bool opened, Contents& contents) {
    TRY(auto hole,
        c_.engine().Seek(c_.caller(), c_.current.id, opened, at_, vfs::ExtentKind::kHole));
    size_t size = std::min<uint64_t>(std::min(hole.offset, end_) - at_, room_ - kSegmentBytes);
    std::unique_ptr<std::byte[]> buffer(new std::byte[size]);
    TRY(auto read, c_.engine().Read(c_.caller(), c_.current.id, opened, at_, {buffer.get(), size}));
    contents.end_of_file = read.end_of_file;
    if (read.bytes == 0) return false;
    read_plus_content& segment = contents.segments.emplace_back();
    segment.rpc_content = NFS4_CONTENT_DATA;
    segment.rpc_data = {.d_offset = at_, .d_data = {buffer.get(), read.bytes}};
    contents.memory.push_back(std::move(buffer));
    room_ -= kSegmentBytes + read.bytes;
    at_ += read.bytes;
    return true;
  }

  Compound& c_;
  uint64_t at_;
  const uint64_t end_;
  size_t room_;
};

}  // namespace

nfsstat4 ReadPlus(Compound& c, const READ_PLUS4args& args) {
  vfs::Attributes file;
  NFS_TRY(c.Attributes(file));
  NFS_TRY(CheckIsRegular(c, file.type));
  bool opened = false;
  NFS_TRY(CheckRead(c, args.rpa_stateid, opened));
  size_t room = RoomForData(c, kHeadBytes);
  auto run = [&](bool trusted) { return Reader(c, args, room).Run(trusted); };
  auto contents = AllowOwner(c, run(opened), opened, [&] { return run(true); });
  if (!contents.ok()) return ToStatus(contents);
  // Of nothing asked for at the end, too.
  contents->end_of_file = contents->end_of_file || args.rpa_offset >= file.size;
  Encode(c.to, read_plus_res4{.rpr_eof = contents->end_of_file,
                              .rpr_contents = std::move(contents->segments)});
  for (auto& memory : contents->memory) c.to.Hold(std::move(memory));
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
