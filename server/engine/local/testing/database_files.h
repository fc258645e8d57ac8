// How RocksDB reaches the files of a Disk that is not this machine's file system.
#pragma once

#include <memory>

#include "server/engine/local/disk.h"

namespace rocksdb {
class Env;
}

namespace tarn::local {

// The disk must outlive it. Threads and clock are those of RocksDB's own environment.
std::unique_ptr<rocksdb::Env> MakeDatabaseEnv(Disk& disk);

}  // namespace tarn::local
