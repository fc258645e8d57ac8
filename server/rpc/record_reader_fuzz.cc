// Record marking over a socket whose bytes come in pieces of any size: however a stream is cut, it
// gives the same records, none larger than the limit.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/fuzz.h"
#include "server/rpc/record_reader.h"

using namespace tarn;       // NOLINT(google-build-using-namespace)
using namespace tarn::rpc;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kRecordBytesMax = 64 * 1024;

using Records = std::vector<std::vector<std::byte>>;

// Sends the bytes, each time `piece` of them (0: the whole), and takes records in between.
Records Take(xdr::Opaque bytes, size_t piece) {
  static BufferPool pool(kRecordBytesMax);
  int ends[2];
  FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  RecordReader reader;
  Stream stream(ends[1]);
  Records records;
  std::byte scratch[RecordReader::kScratchBytes];
  bool open = true;
  auto drain = [&] {
    while (open) {
      Record record;
      std::string why;
      auto status = reader.Read(stream, kRecordBytesMax, pool, scratch, record, why);
      if (status == RecordReader::Status::kAgain) return;
      if (status != RecordReader::Status::kRecord) {
        open = false;
        return;
      }
      FUZZ_REQUIRE(record.bytes.size() <= kRecordBytesMax);
      records.emplace_back(record.bytes.begin(), record.bytes.end());
      pool.Give(std::move(record.large));
    }
  };
  while (!bytes.empty() && open) {
    size_t want = piece == 0 ? bytes.size() : std::min(piece, bytes.size());
    ssize_t sent = send(ends[0], bytes.data(), want, MSG_NOSIGNAL);
    if (sent > 0) bytes = bytes.subspan(static_cast<size_t>(sent));
    drain();
  }
  close(ends[0]);
  drain();
  reader.Drop(pool);
  close(ends[1]);
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  xdr::Opaque bytes = std::as_bytes(std::span(data, size)).subspan(1);
  FUZZ_REQUIRE(Take(bytes, 0) == Take(bytes, 1 + data[0] % 64));
  return 0;
}
