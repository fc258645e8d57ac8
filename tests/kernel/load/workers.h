// The kinds of workers.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/kernel/load/owned_file.h"
#include "tests/kernel/load/worker.h"

namespace tarn::load {

// Files in a directory of its own: made, written in all ways there are, cut, punched, copied,
// renamed, linked, removed, also while they are open. Some stay open over many kills.
class DataWorker : public Worker {
 public:
  DataWorker(const Options& options, const std::string& name, uint64_t seed);
  void Prepare() override;
  void Step() override;
  void Verify() override;
  void Finish() override;
  void VerifyAtEnd() override;

 private:
  using File = std::shared_ptr<OwnedFile>;
  using Entry = std::pair<const std::string, File>;
  struct Held {  // an open file, perhaps without a name
    int descriptor;
    File file;
    std::string path;
  };
  struct Action {
    int weight;
    void (DataWorker::*run)();
    bool needs_file;
    bool needs_42;
  };
  static const std::vector<Action> kActions;

  void Create();
  void Append();
  void Overwrite();
  void SynchronousWrite();
  void DirectWrite();
  void MappedWrite();
  void Truncate();
  void Rename();
  void Link();
  void Unlink();
  void UnlinkWhileOpen();
  void ChangeMode();
  void VerifyOne();
  void Hold();
  void UseHeld();
  void Reserve();
  void Punch();
  void Copy();
  void Clone();
  void ChangeAttribute();

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string NewName() { return "f" + std::to_string(++number_); }
  std::string NewBytes(size_t count);
  Entry& Any();
  void Forget(const std::string& name);
  void VerifyFile(const std::string& path, const OwnedFile& file);
  void VerifyAttributes(const std::string& path, const OwnedFile& file);
  void VerifyHeld(const Held& held);
  void WroteAndSynced(int descriptor, size_t count, const std::string& path);

  std::string directory_;
  uint64_t number_ = 0;
  uint64_t content_;  // number of the bytes written next
  std::map<std::string, File> files_;
  std::vector<Held> held_;
  bool exact_links_ = false;  // nothing is open
};

// Large files, written and read in sequence; over 4.2 also copied by the server.
class LargeWorker : public Worker {
 public:
  LargeWorker(const Options& options, const std::string& name, uint64_t seed);
  void Prepare() override;
  void Step() override;
  void Verify() override;
  void Finish() override {}

 private:
  struct Large {
    std::string path;
    uint64_t content;
    uint64_t size;
  };
  void Fill(const Large& large);
  void CopyTo(const Large& from, const std::string& path);
  void Compare(const Large& large);

  std::string directory_;
  uint64_t number_ = 0;
  std::vector<Large> files_;
};

// Directories made, moved and removed with what is in them; a directory listed while names come and
// go in it; attributes asked for again and again.
class NameWorker : public Worker {
 public:
  NameWorker(const Options& options, const std::string& name, uint64_t seed);
  void Prepare() override;
  void Step() override;
  void Verify() override;
  void Finish() override {}

 private:
  void MakeTree();
  void Fill(const std::string& directory, int depth);
  void MoveSubtree();
  void RemoveTree();
  void ListWhileChanging();
  void StatStorm();
  void VerifyTree(const std::string& directory);

  std::string directory_;
  uint64_t number_ = 0;
  // Names below the directory, relative to it: of directories, and of files with their sizes.
  std::set<std::string> directories_;
  std::map<std::string, uint64_t> files_;
  std::set<std::string> coming_and_going_;
};

// Byte-range locks that all clients want: records that count, and logs that grow, under a lock
// each. A directory made outside of NFS, which nobody else can make meanwhile, witnesses that the
// lock excludes.
class LockWorker : public Worker {
 public:
  LockWorker(const Options& options, const std::string& name, uint64_t seed);
  void Prepare() override;
  void Step() override;
  void Verify() override;
  void Finish() override;
  void VerifyAtEnd() override;

 private:
  struct Record;
  void Count(uint64_t record);
  void ReadRecord(uint64_t record);
  void AppendToLog(uint64_t log);
  bool Lock(int file, short kind, uint64_t at, uint64_t count, const std::string& path);
  void Unlock(int file, uint64_t at, uint64_t count, const std::string& path);
  void Witness(const std::string& what);
  void EndWitness(const std::string& what);
  Record Get(uint64_t record);
  std::string LogEntry(uint64_t number) const;

  std::string counters_path_;
  int counters_ = -1;
  std::vector<uint64_t> counted_;  // by this worker, of each record
  std::vector<uint64_t> seen_;     // the highest value of each
  struct Log {
    std::string path;
    int file = -1;
    std::vector<uint64_t> places;  // of this worker's entries
  };
  std::vector<Log> logs_;
  uint64_t entries_ = 0;
};

// Names in a directory that all clients change: files that are replaced under the eyes of their
// readers, and names that only one can have, by LINK and MKDIR, with a witness outside of NFS.
class SharedWorker : public Worker {
 public:
  SharedWorker(const Options& options, const std::string& name, uint64_t seed);
  void Prepare() override;
  void Step() override;
  void Verify() override;
  void Finish() override;
  void VerifyAtEnd() override;

 private:
  void Publish();
  void ReadPublished();
  void TakeByLink();
  void TakeByDirectory();
  void ChurnName();
  std::string Published(int client, uint64_t number) const;
  // The version that a published file holds, all of whose bytes must be right.
  uint64_t Version(int client, uint64_t number, const std::string& bytes);
  std::string Document(int client, uint64_t number, uint64_t version) const;

  std::string directory_;
  std::string own_;                                    // the file that is linked
  std::vector<uint64_t> versions_;                     // published by this worker
  std::map<std::pair<int, uint64_t>, uint64_t> seen_;  // by client and number
};

}  // namespace tarn::load
