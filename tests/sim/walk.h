// What the engine holds, compared with a tree of the model, name by name and byte by byte.
#pragma once

#include <string>

#include "tests/sim/host.h"
#include "tests/sim/tree.h"

namespace tarn::sim {

// Empty: they are the same, and the tree has taken what a crash left of unstable data. Else the
// first difference.
std::string CompareWithEngine(Tree& tree, Host& host);
// The same while the server runs: what is seen is exactly the tree, which stays as it is.
std::string CompareVisible(Tree& tree, Host& host);
// What Check() of the engine reports; empty is good.
std::string CheckEngine(Host& host);

}  // namespace tarn::sim
