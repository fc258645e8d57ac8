// WriteBack: data that programs have written and the server has not yet got, or has not yet made
// stable.
//
// A write is copied and answered at once; the copy leaves as UNSTABLE writes of up to the server's
// maximum, several at a time, soon after. It is kept until a COMMIT answers with the verifier of
// its WRITE, and sent again when the verifier changed, because the server restarted (RFC 7530
// section 16.36.4). Errors of the background are told by the file's next write, flush or sync.
//
// Threads: any. Memory: at most kBytesMax per mount; beyond it writers wait.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "csi/mount/fuse/client.h"

namespace tarn::fuse {

class WriteBack;

// One file's. Made by WriteBack, kept by the file's node.
class WriteBuffer {
 public:
  explicit WriteBuffer(FileHandle handle) : handle_(std::move(handle)) {}
  // Has it data that the server has not got?
  bool pending() const { return pending_ > 0; }
  // Has it anything, got or not, that is not known to be stable?
  bool any() const { return any_ > 0; }
  // The change attribute after the last write of ours; 0: none.
  uint64_t own_change() const { return own_change_; }

 private:
  friend class WriteBack;
  enum class Where { kHere, kLeaving, kThere };  // not sent, being sent, unstable at the server
  struct Piece {
    uint64_t offset = 0;
    std::vector<char> data;
    Where where = Where::kHere;
    Verifier verifier = {};
    uint64_t end() const { return offset + data.size(); }
    bool Overlaps(uint64_t from, uint64_t to) const { return offset < to && from < end(); }
  };
  using Pieces = std::list<Piece>;

  const FileHandle handle_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Pieces pieces_;  // in the order of writing: a later one wins
  Credential credential_;
  int leaving_ = 0;
  int flushing_ = 0;  // callers that wait for everything to leave
  bool committing_ = false;
  bool queued_ = false;  // in WriteBack's list
  int error_ = 0;
  std::chrono::steady_clock::time_point last_write_;
  std::atomic<int> pending_{0};
  std::atomic<int> any_{0};
  std::atomic<uint64_t> own_change_{0};
};

class WriteBack {
 public:
  static constexpr size_t kBytesMax = 64U << 20;
  static constexpr size_t kUnstableBytesMax = 32U << 20;  // then they are committed early
  static constexpr size_t kPiecesMax = 1024;              // per file
  static constexpr int kThreads = 4;
  static constexpr std::chrono::milliseconds kAge{100};    // a partial piece leaves after this
  static constexpr std::chrono::milliseconds kIdle{2000};  // unstable data is committed after this

  WriteBack(Client& client, size_t piece_bytes);
  ~WriteBack();

  using File = std::shared_ptr<WriteBuffer>;

  // 0 or the errno of an earlier write that failed, or EINTR when the caller was killed waiting.
  int Write(const File& file, const Caller& caller, uint64_t offset, std::span<const char> data);
  // Returns when the server has all that was written before: others see it. Does not clear errors.
  int Flush(const File& file, const Caller& caller);
  // Returns when it is stable. Returns and clears the file's error.
  int Sync(const File& file, const Caller& caller);
  // Would a read of the range miss data that the server has not got? `known_size`: of the file
  // there.
  bool Covers(const File& file, uint64_t offset, uint64_t size, uint64_t known_size);
  // Everything of every file, for an unmount: waits at most so long.
  void SyncAll(std::chrono::milliseconds at_most);
  void Stop();

 private:
  using Lock = std::unique_lock<std::mutex>;
  bool Merge(WriteBuffer& file, uint64_t offset, std::span<const char> data);
  int Reserve(const File& file, const Caller& caller, size_t size);
  WriteBuffer::Pieces::iterator NextToSend(WriteBuffer& file, bool all);
  bool SendOne(const File& file, Lock& lock, const Caller& caller, bool all, stable_how4 stable);
  Status SendPiece(const WriteBuffer& file, const Caller& writer, WriteBuffer::Piece& piece,
                   stable_how4 stable, uint64_t& change, bool& stored);
  int FlushLocked(const File& file, Lock& lock, const Caller& caller, stable_how4 stable);
  int CommitLocked(const File& file, Lock& lock, const Caller& caller);
  void Drop(WriteBuffer& file, WriteBuffer::Pieces::iterator piece);
  void Fail(WriteBuffer& file, int error);
  void Enqueue(const File& file);
  void Work();
  bool ServeFile(const File& file);

  Client& client_;
  const size_t piece_bytes_;
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> unstable_bytes_{0};

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable room_;
  std::deque<File> queue_;
  bool stopping_ = false;
  bool started_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tarn::fuse
