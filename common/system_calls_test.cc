#include "common/system_calls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

#include "common/sanitized.h"

#if !TARN_SANITIZED  // sanitizers need more system calls
namespace tarn {
namespace {

// What `work` says in a child that has restricted itself.
std::string Restricted(const std::function<std::string()>& work) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    auto restricted = RestrictSystemCalls();
    std::string text = restricted.ok() ? work() : restricted.error().message();
    [[maybe_unused]] ssize_t wrote = write(ends[1], text.data(), text.size());
    _exit(0);
  }
  close(ends[1]);
  std::string text(4096, '\0');
  ssize_t got = read(ends[0], text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return text + (WIFEXITED(status) ? "" : " killed by " + std::to_string(WTERMSIG(status)));
}

struct Tried {
  const char* what;
  std::function<long()> call;
};

// Each would succeed, or fail for another reason, if it were let through.
const Tried kTried[] = {
    {"execve", [] { return syscall(SYS_execve, "/bin/true", nullptr, nullptr); }},
    {"execveat", [] { return syscall(SYS_execveat, -1, "/bin/true", nullptr, nullptr, 0); }},
    {"fork", [] { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
    {"unshare", [] { return syscall(SYS_unshare, CLONE_NEWUSER); }},
    {"clone of a namespace",
     [] { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }},
    {"clone3", [] { return syscall(SYS_clone3, nullptr, 0); }},
    {"setns", [] { return syscall(SYS_setns, -1, 0); }},
    {"ptrace", [] { return syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }},
    {"process_vm_readv", [] { return syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0); }},
    {"pidfd_getfd", [] { return syscall(SYS_pidfd_getfd, -1, 0, 0); }},
    {"kill", [] { return syscall(SYS_kill, getppid(), 0); }},
    {"mount",
     [] { return syscall(SYS_mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr); }},
    {"umount2", [] { return syscall(SYS_umount2, "/nowhere", 0); }},
    {"open_tree", [] { return syscall(SYS_open_tree, AT_FDCWD, "/", 0); }},
    {"move_mount", [] { return syscall(SYS_move_mount, -1, "", -1, "", 0); }},
    {"fsopen", [] { return syscall(SYS_fsopen, "tmpfs", 0); }},
    {"pivot_root", [] { return syscall(SYS_pivot_root, "/", "/"); }},
    {"chroot", [] { return syscall(SYS_chroot, "/"); }},
    {"open_by_handle_at", [] { return syscall(SYS_open_by_handle_at, -1, nullptr, 0); }},
    {"mknodat", [] { return syscall(SYS_mknodat, AT_FDCWD, "/tmp/node", 020666, 0x103); }},
    {"setuid", [] { return syscall(SYS_setuid, getuid()); }},
    {"setgroups", [] { return syscall(SYS_setgroups, 0, nullptr); }},
    {"capset", [] { return syscall(SYS_capset, nullptr, nullptr); }},
    {"bpf", [] { return syscall(SYS_bpf, 0, nullptr, 0); }},
    {"perf_event_open", [] { return syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0); }},
    {"userfaultfd", [] { return syscall(SYS_userfaultfd, 0); }},
    {"io_uring_setup", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }},
    {"init_module", [] { return syscall(SYS_init_module, nullptr, 0, ""); }},
    {"finit_module", [] { return syscall(SYS_finit_module, -1, "", 0); }},
    {"kexec_load", [] { return syscall(SYS_kexec_load, 0, 0, nullptr, 0); }},
    {"keyctl", [] { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
    {"add_key", [] { return syscall(SYS_add_key, "user", "a", "b", 1, -3); }},
    {"syslog", [] { return syscall(SYS_syslog, 10, nullptr, 0); }},
    {"reboot", [] { return syscall(SYS_reboot, 0, 0, 0, nullptr); }},
    {"swapon", [] { return syscall(SYS_swapon, "/nowhere", 0); }},
    {"sethostname", [] { return syscall(SYS_sethostname, "x", 1); }},
    {"settimeofday", [] { return syscall(SYS_settimeofday, nullptr, nullptr); }},
    {"personality", [] { return syscall(SYS_personality, 0xffffffff); }},
    {"quotactl", [] { return syscall(SYS_quotactl, 0, nullptr, 0, nullptr); }},
    {"symlinkat", [] { return syscall(SYS_symlinkat, "a", AT_FDCWD, ""); }},
    {"memfd_create", [] { return syscall(SYS_memfd_create, "code", 0); }},
    {"a packet socket", [] { return syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0); }},
    {"a socket of the kernel's ciphers",
     [] { return syscall(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0); }},
    {"a virtual machine's socket", [] { return syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0); }},
    {"typing at a terminal", [] { return syscall(SYS_ioctl, 0, 0x5412, "x"); }},
    {"a keyring of prctl's", [] { return syscall(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0); }},
    {"seccomp", [] { return syscall(SYS_seccomp, 1, 0, nullptr); }},
    {"a call that is newer", [] { return syscall(500); }},
};

TEST(SystemCalls, WhatAnIntruderWouldWantIsRefused) {
  for (const Tried& tried : kTried) {
    std::string said = Restricted([&] {
      errno = 0;
      long done = tried.call();
      return done == -1 && (errno == EPERM || errno == ENOSYS)
                 ? std::string("refused")
                 : "let through: " + std::to_string(done) + ", errno " + std::to_string(errno);
    });
    EXPECT_EQ(said, "refused") << tried.what;
  }
}

TEST(SystemCalls, WhatThisProgramDoesGoesOn) {
  EXPECT_EQ(Restricted([]() -> std::string {
              int done = 0;
              std::thread([&] { done = 1; }).join();
              if (done != 1) return "no thread";
              char name[] = "/tmp/tarn-calls-XXXXXX";
              int fd = mkstemp(name);
              if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) != 0 || unlink(name) != 0) {
                return "no file";
              }
              int pair[2];
              if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return "no pair of sockets";
              for (int family : {AF_UNIX, AF_INET}) {
                if (socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0) return "no socket";
              }
              void* page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return page == MAP_FAILED ? "no memory" : "fine";
            }),
            "fine");
}

TEST(SystemCalls, ADeathIsStillTold) {
  std::string said = Restricted([]() -> std::string {
    std::signal(SIGABRT, SIG_DFL);
    abort();
  });
  EXPECT_EQ(said, " killed by " + std::to_string(SIGABRT));
}

}  // namespace
}  // namespace tarn
#endif
