#include "csi/mount/fuse/write_back.h"

#include <algorithm>
#include <cerrno>

#include "common/log.h"

namespace tarn::fuse {

namespace {
using std::chrono::milliseconds;
using std::chrono::steady_clock;
constexpr int kMergeBack = 8;  // so many of the latest pieces are tried for joining
constexpr milliseconds kSlice{200};
}  // namespace

WriteBack::WriteBack(Client& client, size_t piece_bytes)
    : client_(client), piece_bytes_(piece_bytes) {}

WriteBack::~WriteBack() {
  Stop();
}

void WriteBack::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  room_.notify_all();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

// Puts the data into a piece that is still here, when no later piece lies over the range.
bool WriteBack::Merge(WriteBuffer& file, uint64_t offset, std::span<const char> data) {
  uint64_t end = offset + data.size();
  int tries = kMergeBack;
  for (auto piece = file.pieces_.rbegin(); piece != file.pieces_.rend() && tries-- > 0; ++piece) {
    bool joins =
        piece->offset <= offset && offset <= piece->end() && end - piece->offset <= piece_bytes_;
    if (piece->where == WriteBuffer::Where::kHere && joins) {
      size_t at = offset - piece->offset;
      size_t old = std::min<size_t>(data.size(), piece->data.size() - at);
      std::memcpy(piece->data.data() + at, data.data(), old);
      piece->data.insert(piece->data.end(), data.begin() + old, data.end());
      bytes_ += data.size() - old;
      return true;
    }
    if (piece->Overlaps(offset, end)) return false;
  }
  return false;
}

// Waits until there is room for another write.
int WriteBack::Reserve(const File& file, const Caller& caller, size_t size) {
  Lock lock(mutex_);
  while (bytes_ + size > kBytesMax && !stopping_) {
    room_.wait_for(lock, kSlice);
    if (caller.Killed()) return EINTR;
  }
  if (stopping_) return ENOTCONN;
  lock.unlock();
  if (static_cast<size_t>(file->any_) >= kPiecesMax) {
    Lock of_file(file->mutex_);
    int error = FlushLocked(file, of_file, caller, UNSTABLE4);
    if (error == 0) error = CommitLocked(file, of_file, caller);
    return error;
  }
  return 0;
}

int WriteBack::Write(const File& file, const Caller& caller, uint64_t offset,
                     std::span<const char> data) {
  int error = Reserve(file, caller, data.size());
  if (error != 0) return error;
  bool wake = false;
  {
    Lock lock(file->mutex_);
    if (file->error_ != 0) return std::exchange(file->error_, 0);
    file->credential_ = caller.credential;
    file->last_write_ = steady_clock::now();
    while (!data.empty()) {
      size_t size = std::min(data.size(), piece_bytes_);
      if (!Merge(*file, offset, data.first(size))) {
        auto& piece = file->pieces_.emplace_back();
        piece.offset = offset;
        if (size >= piece_bytes_ / 16) piece.data.reserve(piece_bytes_);
        piece.data.assign(data.begin(), data.begin() + static_cast<ptrdiff_t>(size));
        bytes_ += size;
        ++file->pending_;
        ++file->any_;
        wake = wake || file->pieces_.size() > 1;
      }
      data = data.subspan(size);
      offset += size;
    }
    wake = wake || file->pieces_.back().data.size() >= piece_bytes_;
  }
  Enqueue(file);
  if (wake) work_.notify_one();
  return 0;
}

void WriteBack::Enqueue(const File& file) {
  std::lock_guard lock(mutex_);
  if (!started_) {
    started_ = true;
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }
  if (file->queued_ || stopping_) return;
  file->queued_ = true;
  queue_.push_back(file);
  if (queue_.size() == 1) work_.notify_one();
}

// The oldest piece that is here, does not lie over one that must reach the server first, and is
// full or not the latest (or any, with `all`).
WriteBuffer::Pieces::iterator WriteBack::NextToSend(WriteBuffer& file, bool all) {
  auto& pieces = file.pieces_;
  for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
    if (piece->where != WriteBuffer::Where::kHere) continue;
    bool latest = std::next(piece) == pieces.end();
    if (latest && !all && piece->data.size() < piece_bytes_) continue;
    bool blocked = false;
    if (file.leaving_ > 0 || piece != pieces.begin()) {
      for (auto older = pieces.begin(); older != piece && !blocked; ++older) {
        blocked = older->where != WriteBuffer::Where::kThere &&
                  older->Overlaps(piece->offset, piece->end());
      }
    }
    if (!blocked) return piece;
  }
  return pieces.end();
}

// Returns the WRITE's status; `stored`: stable already.
Status WriteBack::SendPiece(const WriteBuffer& file, const Caller& writer,
                            WriteBuffer::Piece& piece, stable_how4 stable, uint64_t& change,
                            bool& stored) {
  size_t done = 0;
  stored = true;
  bool first = true;
  while (done < piece.data.size()) {
    std::span<const char> rest(piece.data.data() + done, piece.data.size() - done);
    Compound request;
    request.PutFh(file.handle_).Write(piece.offset + done, stable, rest).GetAttr();
    Results results = client_.Run(writer, request);
    results.Op(OP_PUTFH);
    Results::Written written = results.Write();
    Status status = results.status();
    if (status != NFS4_OK) return status;
    if (written.count == 0 || written.count > rest.size()) return kMalformed;
    Attributes attributes = results.GetAttr();
    if (results.ok()) change = attributes.change;
    done += written.count;
    stored = stored && written.committed == FILE_SYNC4;
    if (!first && written.verifier != piece.verifier) {
      done = 0;  // it restarted within the piece
    }
    piece.verifier = written.verifier;
    first = false;
  }
  return NFS4_OK;
}

void WriteBack::Drop(WriteBuffer& file, WriteBuffer::Pieces::iterator piece) {
  bytes_ -= piece->data.size();
  if (piece->where == WriteBuffer::Where::kThere) {
    unstable_bytes_ -= piece->data.size();
  } else {
    --file.pending_;
  }
  --file.any_;
  file.pieces_.erase(piece);
  room_.notify_all();
}

void WriteBack::Fail(WriteBuffer& file, int error) {
  if (file.error_ == 0) file.error_ = error;
}

// Sends one piece, without the lock meanwhile. False when there is none to send.
bool WriteBack::SendOne(const File& file, Lock& lock, const Caller& caller, bool all,
                        stable_how4 stable) {
  auto piece = NextToSend(*file, all);
  if (piece == file->pieces_.end()) return false;
  piece->where = WriteBuffer::Where::kLeaving;
  ++file->leaving_;
  Caller writer{file->credential_, caller.pid};
  lock.unlock();
  uint64_t change = 0;
  bool stored = false;
  Status status = SendPiece(*file, writer, *piece, stable, change, stored);
  lock.lock();
  --file->leaving_;
  if (status == NFS4_OK) {
    file->own_change_ = std::max(file->own_change_.load(), change);
    if (stored) {
      Drop(*file, piece);
    } else {
      piece->where = WriteBuffer::Where::kThere;
      unstable_bytes_ += piece->data.size();
      --file->pending_;
    }
  } else if (status == kInterrupted || status == kStopped) {
    piece->where = WriteBuffer::Where::kHere;
  } else {
    spdlog::warn("write of {} bytes at {} failed: {}", piece->data.size(), piece->offset,
                 StatusName(status));
    Fail(*file, ErrnoOf(status));
    Drop(*file, piece);
  }
  file->changed_.notify_all();
  return status != kInterrupted && status != kStopped;
}

int WriteBack::FlushLocked(const File& file, Lock& lock, const Caller& caller, stable_how4 stable) {
  ++file->flushing_;
  int error = 0;
  if (file->pieces_.size() > 2) work_.notify_all();
  while (file->pending_ > 0 && error == 0) {
    if (SendOne(file, lock, caller, true, stable)) continue;
    if (file->pending_ == 0) break;
    file->changed_.wait_for(lock, kSlice);
    if (client_.stopped()) error = ENOTCONN;
    if (error == 0 && caller.Killed()) error = EINTR;
  }
  --file->flushing_;
  return error;
}

int WriteBack::Flush(const File& file, const Caller& caller) {
  if (!file || !file->pending()) return 0;
  Lock lock(file->mutex_);
  return FlushLocked(file, lock, caller, UNSTABLE4);
}

// One COMMIT for all that is at the server now; what it lost comes back as "here".
int WriteBack::CommitLocked(const File& file, Lock& lock, const Caller& caller) {
  while (file->committing_) {
    file->changed_.wait_for(lock, kSlice);
    if (client_.stopped()) return ENOTCONN;
    if (caller.Killed()) return EINTR;
  }
  std::vector<WriteBuffer::Pieces::iterator> there;
  for (auto piece = file->pieces_.begin(); piece != file->pieces_.end(); ++piece) {
    if (piece->where == WriteBuffer::Where::kThere) there.push_back(piece);
  }
  if (there.empty()) return 0;
  file->committing_ = true;
  Caller writer{file->credential_, caller.pid};
  lock.unlock();
  Results results = client_.Run(writer, Compound().PutFh(file->handle_).Commit());
  results.Op(OP_PUTFH);
  Verifier verifier = results.Commit();
  Status status = results.status();
  lock.lock();
  file->committing_ = false;
  int error = 0;
  if (status == kInterrupted || status == kStopped) error = ErrnoOf(status);
  for (auto piece : there) {
    if (error != 0) break;
    if (status == NFS4_OK && piece->verifier != verifier) {
      piece->where = WriteBuffer::Where::kHere;
      unstable_bytes_ -= piece->data.size();
      ++file->pending_;
    } else {
      Drop(*file, piece);
    }
  }
  if (error == 0 && status != NFS4_OK) Fail(*file, ErrnoOf(status));
  file->changed_.notify_all();
  return error;
}

int WriteBack::Sync(const File& file, const Caller& caller) {
  if (!file) return 0;
  Lock lock(file->mutex_);
  int error = 0;
  while (file->any_ > 0 && error == 0) {
    // A small file is one write, stable at once.
    bool lone = file->pieces_.size() == 1 && file->pending_ == 1 && file->leaving_ == 0;
    error = FlushLocked(file, lock, caller, lone ? FILE_SYNC4 : UNSTABLE4);
    if (error == 0) error = CommitLocked(file, lock, caller);
  }
  return error != 0 ? error : std::exchange(file->error_, 0);
}

bool WriteBack::Covers(const File& file, uint64_t offset, uint64_t size, uint64_t known_size) {
  if (!file || !file->pending()) return false;
  uint64_t end = offset + size;
  Lock lock(file->mutex_);
  return std::any_of(file->pieces_.begin(), file->pieces_.end(), [&](const auto& piece) {
    // Data past the end that the server knows makes what lies before it readable, too.
    return piece.where != WriteBuffer::Where::kThere && offset < piece.end() &&
           (piece.offset < end || end > known_size);
  });
}

// Serves one file of the queue once. True: it has to stay there.
bool WriteBack::ServeFile(const File& file) {
  Caller machine;
  Lock lock(file->mutex_);
  auto age = steady_clock::now() - file->last_write_;
  bool all = file->flushing_ > 0 || age > kAge || bytes_ > kBytesMax / 2;
  if (file->pending_ > 0 && SendOne(file, lock, machine, all, UNSTABLE4)) return true;
  bool unstable = file->any_ > file->pending_;
  bool crowded = unstable_bytes_ > kUnstableBytesMax;
  if (unstable && !file->committing_ && (crowded || (age > kIdle && file->pending_ == 0))) {
    CommitLocked(file, lock, machine);
    return true;
  }
  return file->any_ > 0;
}

void WriteBack::Work() {
  Lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      work_.wait(lock);
      continue;
    }
    File file = queue_.front();
    queue_.pop_front();
    queue_.push_back(file);  // others may serve it at the same time
    lock.unlock();
    int before = file->any_ + file->pending_;
    bool stays = ServeFile(file);
    bool moved = file->any_ + file->pending_ != before;
    lock.lock();
    if (!stays && file->any_ == 0) {
      auto found = std::find(queue_.begin(), queue_.end(), file);
      if (found != queue_.end()) queue_.erase(found);
      file->queued_ = false;
      continue;
    }
    if (!moved && !stopping_) work_.wait_for(lock, kAge / 2);
  }
}

void WriteBack::SyncAll(milliseconds at_most) {
  auto deadline = steady_clock::now() + at_most;
  std::vector<File> files;
  {
    std::lock_guard lock(mutex_);
    files.assign(queue_.begin(), queue_.end());
  }
  for (auto& file : files) {
    Lock lock(file->mutex_);
    ++file->flushing_;
  }
  work_.notify_all();
  for (auto& file : files) {
    Lock lock(file->mutex_);
    file->last_write_ = {};
    while (file->any_ > 0 && steady_clock::now() < deadline && !client_.stopped()) {
      file->changed_.wait_for(lock, milliseconds(20));
    }
  }
}

}  // namespace tarn::fuse
