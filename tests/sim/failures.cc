// What errors of the disk leave behind.
#include "tests/sim/model.h"

namespace tarn::sim {

using namespace nfs4;

void Model::EachTree(const std::function<void(Tree&)>& change) {
  change(tree);
  for (Unsynced& unsynced : unsynced_) change(unsynced.before);
}

std::vector<Tree> Model::OutcomesOf(const Request& request) {
  std::vector<Tree> outcomes{tree};
  const Op& op = request.op;
  bool changes = IsTagged(op.kind) || op.kind == Kind::kSetMode || op.kind == Kind::kSetSize;
  if (!changes || request.done || op.reclaim || !Expect(request).must.empty()) return outcomes;
  AddDone(op, outcomes);
  return outcomes;
}

// The trees after an operation that was done, or half of it where it is two.
void Model::AddDone(const Op& op, std::vector<Tree>& outcomes) const {
  FileNo file = tree.Find(op.file);
  FileNo made = 0;
  Tree changed = tree;
  Apply(changed, op, file, made);
  outcomes.push_back(changed);
  bool cuts = op.kind == Kind::kOpen && op.truncate && op.create == UNCHECKED4 && made == 0;
  if (!cuts) return;
  File& cut = changed.at(tree.Child(file, op.name));
  cut.content.Resize(0);
  cut.changed = true;
  cut.verifier = 0;
  outcomes.push_back(changed);
}

void Model::Failed(const std::shared_ptr<Request>& request, Tree found, bool done) {
  if (!done) return;
  unsynced_.push_back({tree, request});
  Done(*request, std::move(found));
}

bool Model::FailedWrite(const Request& request, uint64_t bytes, uint64_t change) {
  const Op& op = request.op;
  FileNo number = tree.Find(op.file);
  bool fine = true;
  EachTree([&](Tree& one) {
    if (!one.Has(number)) return;
    File& file = one.at(number);
    file.content.Write(op.offset, op.count, Fill(op.fill), false, Content::kFailed);
    bool adopted = file.content.AdoptSize(bytes);  // that of before may have had another one
    if (&one == &tree) fine = adopted;
    file.written = file.written || change != file.change;
  });
  return fine;
}

void Model::FailedMaintenance() {
  DiedInMaintenance();
}

std::vector<Tree> Model::Undone() const {
  std::vector<Tree> trees;
  for (auto at = unsynced_.rbegin(); at != unsynced_.rend(); ++at) {
    trees.push_back(at->before.KnowingWhat(tree));
  }
  return trees;
}

void Model::Adopt(size_t undone) {
  for (size_t i = 0; i < undone; ++i) {
    Request& request = *unsynced_[unsynced_.size() - 1 - i].request;
    request.done = false;
    request.made = 0;
  }
  unsynced_.clear();
}

// The last use of a file without a name. On a failing disk it is freed a little later.
void Model::Unpin(FileNo file) {
  tree.Unpin(file);
  if (!context_.faulty || tree.at(file).life != Life::kGone) return;
  tree.at(file).life = Life::kUncertain;
  tree.at(file).unsure = true;
}

}  // namespace tarn::sim
