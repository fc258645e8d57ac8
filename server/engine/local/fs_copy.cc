// Copies within the engine.
#include <algorithm>
#include <vector>

#include "server/engine/local/local_file_system.h"
#include "server/vfs/permission.h"
#include "server/vfs/ranges.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

Result<uint64_t> LocalFileSystem::CheckCopy(const Caller& caller, const InodePtr& source,
                                            const InodePtr& target, const DataPlace& from,
                                            const DataPlace& to, uint64_t length) {
  LockSet locks;
  locks.Lock({source, target});
  TRY(UsableData(caller, *source, from.file, from.opened, kMayRead));
  TRY(UsableData(caller, *target, to.file, to.opened, kMayWrite));
  return CopyLength({.one_file = source == target,
                     .source_offset = from.offset,
                     .source_size = source->record.size,
                     .target_offset = to.offset,
                     .target_size = target->record.size,
                     .length = length});
}

Result<size_t> LocalFileSystem::CopyInto(const Caller& caller, const InodePtr& target,
                                         const DataPlace& to, uint64_t offset,
                                         std::span<const std::byte> data) {
  for (WritePlan plan;;) {
    for (auto& range : plan.unmarked) TRY(marks_.Mark(range));
    std::unique_lock lock(target->mutex);
    TRY(UsableData(caller, *target, to.file, to.opened, kMayWrite));
    TRY(plan, PlanWrite(*target, offset, data.size()));
    if (!plan.unmarked.empty()) continue;
    TRY(ReserveChange(*target));
    MarkDirty(target);
    TRY(size_t written, WriteLocked(*target, offset, data, plan.in_place));
    target->record.size = std::max<uint64_t>(target->record.size, offset + written);
    DataChanged(caller, *target);
    return written;
  }
}

Result<uint64_t> LocalFileSystem::Copy(const Caller& caller, const DataPlace& source,
                                       const DataPlace& target, uint64_t length) {
  if (auto done = Replayed(caller)) return done->copied;
  TRY(InodePtr from, Find(source.file));
  TRY(InodePtr to, Find(target.file));
  TRY(length, CheckCopy(caller, from, to, source, target, length));
  if (length == 0) return length;
  TRY(uint64_t shared, CopyByReference(caller, source, target, length));
  if (shared > 0) return shared;
  length = std::min(length, kCopyBytesMax);
  std::vector<std::byte> buffer(std::min<uint64_t>(length, kIoBytesMax));
  uint64_t done = 0;
  uint32_t losses = to->losses;
  while (done < length) {
    auto part = std::span(buffer).first(std::min<uint64_t>(buffer.size(), length - done));
    TRY(ReadResult read, Read(caller, source.file, source.opened, source.offset + done, part));
    if (read.bytes == 0) break;  // it was cut meanwhile
    auto written = CopyInto(caller, to, target, target.offset + done, part.first(read.bytes));
    if (!written && done == 0) return written.error();
    if (!written) break;
    done += *written;
  }
  Ticket ticket = 0;
  {
    std::lock_guard flush(to->flush_mutex);
    {
      std::unique_lock lock(to->mutex);
      if (to->gone) return *to->gone;
      MarkDirty(to);  // it may have been written back meanwhile, but without the replay record
    }
    TRY(ticket, Flush(to, [&](Batch& batch) { KeepReplay(batch, caller, {0, {}, {}, {}, done}); }));
  }
  TRY(to->CheckLosses(losses));
  TRY(store_.Sync(ticket));
  return done;
}

}  // namespace tarn::local
