#pragma once
// glocal store backup, restore: a whole store to a directory and back (node/backup/backup_directory.hpp).

#include "tools/glocal_commands.hpp"

#include <string>

namespace glocal::cli {

struct backup_options {
  std::string cluster, directory;
};
/// Writes every slot as it is at one moment, slot after slot.
int store_backup(const backup_options& options);

struct restore_options {
  std::string cluster, directory;
  /// Also where rows are there that the backup has otherwise.
  bool overwrite = false;
  /// Also from a backup of a cluster of another name.
  bool any_cluster = false;
  /// Check the directory, say what would be done, and do nothing.
  bool dry_run = false;
};
/// Writes what the backup has and the store has not. One that broke off goes on when it is run again.
int store_restore(const restore_options& options);

} // namespace glocal::cli
