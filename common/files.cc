#include "common/files.h"

#include <array>
#include <fstream>

namespace tarn {

Result<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error(Code::kNoEntry, "cannot read " + path);
  std::string out;
  std::array<char, 4096> buffer;
  while (in.read(buffer.data(), buffer.size()), in.gcount() > 0) {
    out.append(buffer.data(), static_cast<size_t>(in.gcount()));
    if (out.size() > kSmallFileBytesMax) return Error(Code::kFileTooBig, path + " is above 1 MiB");
  }
  if (in.bad()) return Error(Code::kNoEntry, "cannot read " + path);
  return out;
}

}  // namespace tarn
