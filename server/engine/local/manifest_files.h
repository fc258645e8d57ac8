// ManifestFiles: the file system on which RocksDB's list of tables (MANIFEST) lies, where each sync
// covers one record.
//
// RocksDB writes the records of several tables and then syncs once. When the power goes before
// that, the disk may have any of them without those before it, and that looks as damage to records
// that were synced does. With a sync between two records, a broken record that others follow is
// damage, always, and a broken last one was torn; CutLogTails (log_tail.h) relies on that.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace tarn::local {

std::shared_ptr<rocksdb::FileSystem> NewManifestFiles(
    const std::shared_ptr<rocksdb::FileSystem>& below);

}  // namespace tarn::local
