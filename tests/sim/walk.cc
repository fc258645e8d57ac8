#include "tests/sim/walk.h"

namespace tarn::sim {
namespace {

const vfs::Caller& Root() {
  static const vfs::Caller caller{.uid = 0, .gid = 0, .gids = {}};
  return caller;
}

nfs4::nfs_ftype4 ToWire(vfs::FileType type) {
  switch (type) {
    case vfs::FileType::kDirectory:
      return nfs4::NF4DIR;
    case vfs::FileType::kSymlink:
      return nfs4::NF4LNK;
    default:
      return nfs4::NF4REG;
  }
}

class Walk {
 public:
  Walk(Tree& tree, Host& host, bool running)
      : tree_(tree), host_(host), calm_(host), running_(running) {}

  std::string Compare(FileNo number, vfs::FileId id) {
    auto found = host_.files().GetAttributes(Root(), id);
    std::string name = "#" + std::to_string(number);
    if (!found.ok()) return name + ": " + found.error().ToString();
    File& file = tree_.at(number);
    if (ToWire(found->type) != file.type) return name + " has another type";
    if (found->mode != file.mode) return name + " has another mode";
    if (found->links != file.links) {
      return name + " has " + std::to_string(found->links) + " links, not " +
             std::to_string(file.links);
    }
    if (file.fileid != 0 && file.fileid != id.inode) return name + " is another file";
    if (ChangeMayGoBack(file)) {
      file.change = std::min(file.change, found->change);
      file.written = false;
    }
    if (found->change < file.change) return name + ": its change attribute went back";
    if (file.type == nfs4::NF4DIR) return CompareEntries(number, id);
    if (file.type == nfs4::NF4LNK) {
      auto target = host_.files().ReadSymlink(Root(), id);
      return target.ok() && *target == file.target ? "" : name + " has another target";
    }
    return CompareBytes(file, name, id, found->size);
  }

 private:
  std::string CompareEntries(FileNo directory, vfs::FileId id) {
    std::map<std::string, vfs::FileId> names;
    auto read =
        host_.files().ReadDirectory(Root(), id, 0, false, [&](const vfs::DirectoryEntry& entry) {
          names.emplace(entry.name, entry.attributes.id);
          return true;
        });
    std::string where = "#" + std::to_string(directory) + "/";
    if (!read.ok()) return where + ": " + read.error().ToString();
    auto entries = tree_.at(directory).entries;
    for (const auto& [name, child] : entries) {
      if (!names.contains(name)) return where + name + " is missing";
    }
    for (const auto& [name, child] : names) {
      if (!entries.contains(name)) return where + name + " should not be there";
      std::string wrong = Compare(entries.at(name), child);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  // The local engine keeps the change attributes of unstable data over kills only
  // (docs/engine-format.md): after a cut of power they may go back with it. So may those of any
  // change that met an error.
  bool ChangeMayGoBack(const File& file) const {
    bool lost = host_.lost_power() && file.type == nfs4::NF4REG;
    return !running_ && (lost || host_.disk_failed());
  }

  std::string CompareBytes(File& file, const std::string& name, vfs::FileId id, uint64_t size) {
    if (running_) return CompareRunning(file, name, id, size);
    bool lost = false;
    auto unit_at = [&](uint64_t unit) {
      std::string bytes(kUnitBytes, '\0');
      auto read = host_.files().Read(Root(), id, false, unit * kUnitBytes,
                                     std::as_writable_bytes(std::span(bytes)));
      bytes.resize(read.ok() ? read->bytes : 0);
      return bytes;
    };
    bool unsure = file.content.Unsure(tree_.epoch) || file.shown.Unsure(tree_.epoch);
    bool fine = file.content.AdoptAfterCrash(size, unit_at, host_.lost_power(), lost);
    if (lost && !ChangeMayGoBack(file)) file.written = !unsure && !file.content.SameAs(file.shown);
    return fine ? "" : name + " of " + std::to_string(size) + " bytes has other contents";
  }

  std::string CompareRunning(const File& file, const std::string& name, vfs::FileId id,
                             uint64_t size) {
    constexpr uint64_t kFirstBytes = 64 * kUnitBytes;  // behind them files are sparse
    if (size != file.content.bytes()) {
      return name + " has " + std::to_string(size) + " bytes, not " +
             std::to_string(file.content.bytes());
    }
    std::vector<std::byte> bytes(std::min(size, kFirstBytes));
    auto read = host_.files().Read(Root(), id, false, 0, bytes);
    if (!read.ok()) return name + ": " + read.error().ToString();
    return file.content.Matches(0, bytes, tree_.epoch) ? "" : name + " has other contents";
  }

  Tree& tree_;
  Host& host_;
  const Host::Calm calm_;
  const bool running_;
};

}  // namespace

std::string CompareWithEngine(Tree& tree, Host& host) {
  Walk walk(tree, host, false);
  std::string wrong = walk.Compare(kRoot, host.FileOf(tree.at(kRoot).fh));
  if (!wrong.empty()) return wrong;
  for (const auto& [number, file] : tree.files()) {
    if (file.life != Life::kUncertain || file.fh.empty()) continue;
    vfs::FileId id = host.FileOf(file.fh);
    bool gone = host.files().GetAttributes(Root(), id).code() == Code::kStale;
    if (gone && file.unsure) {
      tree.at(number).life = Life::kGone;
      continue;
    }
    wrong = walk.Compare(number, id);
    if (!wrong.empty()) return "unlinked while open: " + wrong;
  }
  return "";
}

std::string CompareVisible(Tree& tree, Host& host) {
  Walk walk(tree, host, true);
  std::string wrong = walk.Compare(kRoot, host.FileOf(tree.at(kRoot).fh));
  if (!wrong.empty()) return wrong;
  for (const auto& [number, file] : tree.files()) {
    bool nameless = file.type == nfs4::NF4REG && file.links == 0 && file.life != Life::kGone;
    if (!nameless || file.fh.empty()) continue;
    vfs::FileId id = host.FileOf(file.fh);
    bool gone = host.files().GetAttributes(Root(), id).code() == Code::kStale;
    if (gone && (file.life == Life::kUncertain || file.unsure)) continue;
    wrong = walk.Compare(number, id);
    if (!wrong.empty()) return "unlinked while open: " + wrong;
  }
  return "";
}

std::string CheckEngine(Host& host) {
  Host::Calm calm(host);
  std::string problems;
  auto checked = host.files().Check([&](std::string_view problem) {
    problems.append(problems.empty() ? "" : "; ").append(problem);
  });
  if (!checked.ok()) return checked.error().ToString();
  return problems;
}

}  // namespace tarn::sim
