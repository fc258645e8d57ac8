#include "common/system_calls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "common/log.h"
#include "common/sanitized.h"

namespace tarn {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// From here on are calls that were new when this was written.
constexpr uint32_t kFirstUnknown = 451;

// Found with strace over the test suites, and what glibc, RocksDB, gRPC and OpenSSL have beside
// that on other machines.
constexpr uint32_t kAllowed[] = {
    // Memory and threads.
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_mincore,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_msync,
    SYS_membarrier,
    SYS_futex,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_getcpu,
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_getpriority,
    SYS_setpriority,
    SYS_ioprio_get,
    SYS_ioprio_set,
    // Time and signals. tgkill: abort().
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_tgkill,
    // Files.
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_close_range,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlinkat,
    SYS_mkdirat,
    SYS_linkat,
    SYS_ftruncate,
    SYS_truncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_syncfs,
    SYS_flock,
    SYS_fcntl,
    SYS_fadvise64,
    SYS_readahead,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_umask,
    SYS_statfs,
    SYS_fstatfs,
    SYS_utimensat,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_getcwd,
    // Sockets and waiting; socket() itself is below.
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_connect,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_eventfd2,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_inotify_init1,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    // About this process and machine.
    SYS_getrandom,
    SYS_uname,
    SYS_sysinfo,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_prlimit64,
    SYS_getrusage,
#if defined(__x86_64__)
    // The older forms of some, which this architecture has beside the newer ones.
    SYS_arch_prctl,
    SYS_time,
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_rename,
    SYS_unlink,
    SYS_mkdir,
    SYS_rmdir,
    SYS_link,
    SYS_chmod,
    SYS_dup2,
    SYS_pipe,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_eventfd,
    SYS_getdents,
    SYS_getrlimit,
    SYS_setrlimit,
#endif
};

constexpr size_t kNumberAt = offsetof(seccomp_data, nr);
// The low half of an argument, on these little-endian machines: flags and the like are no longer.
constexpr uint32_t ArgumentAt(uint32_t argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(uint64_t);
}

class Program {
 public:
  void Load(uint32_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, offset); }
  void Return(uint32_t action) { Add(BPF_RET | BPF_K, action); }
  void Errno(int number) { Return(SECCOMP_RET_ERRNO | static_cast<uint32_t>(number)); }
  // The next instruction is for what is equal to `value` alone (so with the others).
  void IfEqual(uint32_t value) { Add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1); }
  void IfAtLeast(uint32_t value) { Add(BPF_JMP | BPF_JGE | BPF_K, value, 0, 1); }
  void IfHasAny(uint32_t bits) { Add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1); }
  void UnlessEqual(uint32_t value) { Add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0); }
  // The system call `number`, if `argument` is one of these; else EPERM. Expects the number loaded.
  void AllowWith(uint32_t number, uint32_t argument, std::initializer_list<uint32_t> values) {
    const auto size = static_cast<uint8_t>(2 + 2 * values.size());
    Add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, size);
    Load(ArgumentAt(argument));
    for (uint32_t value : values) {
      IfEqual(value);
      Return(SECCOMP_RET_ALLOW);
    }
    Errno(EPERM);
  }
  sock_fprog Get() {
    return {.len = static_cast<unsigned short>(code_.size()), .filter = code_.data()};
  }

 private:
  void Add(int code, uint32_t value, uint8_t if_true = 0, uint8_t if_false = 0) {
    code_.push_back({static_cast<uint16_t>(code), if_true, if_false, value});
  }
  std::vector<sock_filter> code_;
};

Program MakeProgram() {
  Program program;
  program.Load(offsetof(seccomp_data, arch));
  program.UnlessEqual(kArchitecture);
  program.Return(SECCOMP_RET_KILL_PROCESS);  // a call of another ABI, with numbers of its own
  program.Load(kNumberAt);
  for (uint32_t number : kAllowed) {
    program.IfEqual(number);
    program.Return(SECCOMP_RET_ALLOW);
  }
  program.AllowWith(SYS_socket, 0, {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK});
  program.AllowWith(SYS_socketpair, 0, {AF_UNIX});
  program.AllowWith(SYS_prctl, 0, {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_DUMPABLE});
  program.AllowWith(SYS_ioctl, 1,
                    {FIONREAD, FIONBIO, FS_IOC_GETVERSION, SIOCGIFINDEX, SIOCGIFNAME});
  // Threads, but no processes and no namespaces. clone3 keeps its flags where no filter can look.
  program.IfEqual(SYS_clone3);
  program.Errno(ENOSYS);
  program.IfAtLeast(kFirstUnknown);  // also those of the x32 ABI
  program.Errno(ENOSYS);
  program.UnlessEqual(SYS_clone);
  program.Errno(EPERM);
  program.Load(ArgumentAt(0));
  program.IfHasAny(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                   CLONE_NEWNET | CLONE_NEWCGROUP);
  program.Errno(EPERM);
  program.IfHasAny(CLONE_THREAD);
  program.Return(SECCOMP_RET_ALLOW);
  program.Errno(EPERM);
  return program;
}

}  // namespace

Result<void> RestrictSystemCalls() {
  if (kSanitized || kArchitecture == 0) {
    return Error(Code::kNotSupported, "this build has no filter of system calls");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Error(Code::kDenied, std::string("no_new_privs: ") + std::strerror(errno));
  }
  Program program = MakeProgram();
  sock_fprog code = program.Get();
  // SPEC_ALLOW: there is no code of others in this process to keep from speculating.
  constexpr unsigned long kFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  const auto result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &code);
  if (result == 0) return Ok();
  if (result > 0) {
    return Error(Code::kDenied, "thread " + std::to_string(result) +
                                    " has a filter of system calls of its own, and takes no other");
  }
  const bool none = errno == ENOSYS || errno == EINVAL;
  return Error(none ? Code::kNotSupported : Code::kDenied,
               std::string("this kernel takes no filter of system calls: ") + std::strerror(errno));
}

void RestrictSystemCallsOrWarn() {
  if (kSanitized) return;
  auto restricted = RestrictSystemCalls();
  if (!restricted.ok()) spdlog::warn("{}", restricted.error().message());
}

}  // namespace tarn
