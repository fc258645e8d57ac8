// The model of the file system: what names there are, and what each file is. Simple on purpose.
//
// Every file that ever was has a number here. A handle is learnt when the server first shows it and
// then names that file for ever. Copyable: what a request that a crash cut off may have done is a
// second tree.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/content.h"
#include "tests/sim/op.h"

namespace tarn::sim {

using FileNo = uint32_t;  // 0: none
inline constexpr FileNo kRoot = 1;

enum class Life {
  kLive,       // it has a name, or an open
  kUncertain,  // without a name; may be there until the grace period ends, for who had it open
  kGone,
};

struct File {
  nfs4::nfs_ftype4 type{};
  Life life = Life::kLive;
  uint32_t mode = 0;
  uint32_t links = 0;
  FileNo parent = 0;  // of a directory
  std::map<std::string, FileNo> entries;
  std::string target;  // of a symlink
  Content content;
  uint64_t verifier = 0;  // of the exclusive create that made it; 0: none, or not any more
  Fh fh;
  uint64_t fileid = 0;
  uint64_t change = 0;       // the last that was shown
  uint64_t change_most = 0;  // that ever was; a crash may take it back, but none comes twice
  bool changed = false;      // since then, for good
  bool written = false;      // since then; a crash may take it back
  Content shown;             // when the change attribute was
  uint32_t opens = 0;        // pins, in this run
  // Its last open was closed after its last name went. A kill may bring it back, as nobody waits
  // for that to be durable.
  bool closed = false;
  bool unsure = false;  // a death cut off what may have closed it
};

class Tree {
 public:
  Tree();
  // Teaches the handle of the root.
  void SetRoot(const Fh& fh) { Learn(kRoot, fh); }

  FileNo Find(const Fh& fh) const;
  bool Has(FileNo file) const { return files_.contains(file); }
  const File& at(FileNo file) const { return files_.at(file); }
  File& at(FileNo file) { return files_.at(file); }
  bool IsDirectory(FileNo file) const { return at(file).type == nfs4::NF4DIR; }
  FileNo Child(FileNo directory, const std::string& name) const;
  // False: the handle is another file's.
  bool Learn(FileNo file, const Fh& fh);
  std::string NameOf(const Fh& fh) const;
  // Is `directory` in `outer`, or it?
  bool LiesIn(FileNo directory, FileNo outer) const;

  // --- changes; the checks were done before ---
  FileNo Make(FileNo directory, const std::string& name, nfs4::nfs_ftype4 type, uint32_t mode);
  void Link(FileNo file, FileNo directory, const std::string& name);
  void Remove(FileNo directory, const std::string& name);
  void Rename(FileNo from, const std::string& name, FileNo to, const std::string& new_name);
  void Pin(FileNo file);
  void Unpin(FileNo file);
  void MakeUncertainUnsure();
  void Restart();   // pins are gone
  void EndGrace();  // what was without a name is gone
  // This tree, which was before, with the handles, numbers and opens that are known now. What was
  // made meanwhile is gone.
  Tree KnowingWhat(const Tree& now) const;

  // What the server shows of a file. Empty: it is what the model has.
  std::string CheckAttributes(FileNo file, const nfs_client::Attributes& shown);
  // Those with a name.
  const std::vector<FileNo>& live() const { return live_; }
  FileNo last() const { return next_ - 1; }
  const std::map<FileNo, File>& files() const { return files_; }

  Content::Epoch epoch = 1;

 private:
  void Drop(FileNo file);
  void Touch(FileNo file) { at(file).changed = true; }
  // Of a file without names or opens.
  Life Ended(const File& file) const {
    return keeps_nameless_ && file.type == nfs4::NF4REG ? Life::kUncertain : Life::kGone;
  }

  std::map<FileNo, File> files_;
  std::map<Fh, FileNo> handles_;
  FileNo next_ = kRoot + 1;
  bool keeps_nameless_ = false;  // until the grace period ends
  std::vector<FileNo> live_{kRoot};
};

}  // namespace tarn::sim
