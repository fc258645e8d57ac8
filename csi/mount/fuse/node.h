// Node: a file as the kernel knows it here; NodeTable: FUSE node ids to NFS file handles.
//
// A node id is the node's address. The kernel holds a count of lookups on each (fuse_lowlevel.h)
// and lets go of it by FORGET; a node also lives while it is open. Threads: any; the node's mutex
// guards what is said below.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "csi/mount/fuse/protocol.h"
#include "csi/mount/fuse/write_back.h"

namespace tarn::fuse {

struct Node {
  Node(FileHandle its_handle, const Attributes& attributes)
      : handle(std::move(its_handle)),
        fileid(attributes.stat.st_ino),
        type(attributes.stat.st_mode & S_IFMT) {}

  const FileHandle handle;
  const uint64_t fileid;
  const mode_t type;

  // Guarded by the table's mutex.
  uint64_t lookups = 0;
  int opens = 0;
  int releasing = 0;  // those of the opens whose RELEASE the kernel has sent

  // Guarded by `mutex`.
  std::mutex mutex;
  FileHandle directory;  // where it was last seen; empty: not known
  std::string name;
  // Change attributes (RFC 7530 section 5.8.1.4): of what the kernel was last told, and of the
  // content that its page cache may hold. 0: nothing.
  uint64_t told = 0;
  uint64_t cached = 0;
  uint64_t known_size = 0;
  bool silly = false;      // unlinked here while open: `name` is a hidden one
  Credential remover;      // who unlinked it
  WriteBack::File buffer;  // regular files, from the first write on

  fuse_ino_t ino() const { return reinterpret_cast<fuse_ino_t>(this); }
};

class NodeTable {
 public:
  // `root` is node FUSE_ROOT_ID and is never forgotten.
  NodeTable(const FileHandle& root, const Attributes& attributes);
  ~NodeTable();

  Node& At(fuse_ino_t ino) { return ino == FUSE_ROOT_ID ? *root_ : *reinterpret_cast<Node*>(ino); }
  fuse_ino_t InoOf(const Node& node) const { return &node == root_ ? FUSE_ROOT_ID : node.ino(); }
  // The node of the handle, with one more lookup.
  Node& Remember(const FileHandle& handle, const Attributes& attributes);
  void Forget(fuse_ino_t ino, uint64_t lookups);

  // Counts opens. Close tells after the last one which hidden name is to be removed, if any; call
  // HiddenGone when that is done.
  struct Hidden {
    FileHandle directory;
    std::string name;
    Credential remover;
  };
  void Open(Node& node);
  // No program has this open any more; `Close` with `released` follows.
  void Releasing(Node& node);
  Hidden Close(Node& node, bool released);
  // The node of the handle when a program has it open, opened once more so that it stays, or null.
  Node* PinOpen(const FileHandle& handle);

  // The file is from now on under a hidden name.
  void Hide(Node& node, Hidden hidden);
  void HiddenGone(const Hidden& hidden);
  // How many hidden names have gone so far.
  uint64_t hidden_gone() const { return hidden_gone_; }
  // For whoever was told, after it asked for hidden_gone(), that the directory is not empty: waits
  // until a hidden name has gone from it, at most for `patience`. True: worth another try, since
  // one has gone since then or is being removed.
  bool AwaitHidden(const FileHandle& directory, uint64_t gone_before,
                   std::chrono::milliseconds patience);
  // The handle of the node that was last seen under the name, or an empty one. Slow.
  FileHandle FindByName(const FileHandle& directory, std::string_view name);
  bool any_open() const { return open_files_ > 0; }
  size_t size();

 private:
  void EraseIfUnused(Node& node);
  std::mutex mutex_;
  std::unordered_map<std::string_view, std::unique_ptr<Node>> nodes_;  // by handle
  std::atomic<int> open_files_{0};
  struct HiddenNames {
    int there = 0;
    int leaving = 0;  // of these, closed and being removed
  };
  std::map<std::string, HiddenNames, std::less<>> hidden_;  // by directory's handle; none empty
  std::atomic<uint64_t> hidden_gone_{0};
  std::condition_variable hidden_went_;
  Node* root_;
};

}  // namespace tarn::fuse
