/* Put before libc (LD_PRELOAD): the n-th call that changes what lies under a folder fails, or is the last of
 * its process. What is counted: everything by which SQLite, Python, Arrow and Rust write, rename and remove. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE, FULL, EIO_ONCE, DIES }; /* a full disk stays full; an input error passes */

static char under[PATH_MAX];
static size_t length;
static int kind;
static long at;
static atomic_long seen;

void fault_set(const char *folder, int how, long number) {
    length = strlen(strcpy(under, folder));
    kind = how, at = number, seen = 0;
}

long fault_seen(void) { return seen; }

static int inside(const char *path) { return kind && path && strncmp(path, under, length) == 0; }

static int inside_fd(int fd) {
    char link[40], path[PATH_MAX];
    if (!kind) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return inside(path);
}

static int inside_at(int fd, const char *path) {
    return path && (path[0] == '/' ? inside(path) : fd != AT_FDCWD && inside_fd(fd));
}

/* Whether this call is to fail; `grows` where it needs room. */
static int fails(int counts, int grows) {
    if (!counts) return 0;
    long number = ++seen;
    if (kind == DIES && number == at) return 1;
    if (kind == FULL && number >= at && grows) return errno = ENOSPC, 1;
    return kind == EIO_ONCE && number == at ? (errno = EIO, 1) : 0;
}

static void die(void) { if (kind == DIES) _exit(137); }

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

/* A write that fails leaves half of its bytes. */
#define WRITER(name, parameters, half, whole, ...)                                                            \
    ssize_t name parameters {                                                                                 \
        static ssize_t (*real)(__VA_ARGS__);                                                                  \
        if (!real) real = REAL(ssize_t, name, __VA_ARGS__);                                                   \
        if (fails(inside_fd(fd), 1)) {                                                                        \
            int why = errno;                                                                                  \
            if (size > 1 && seen == at) real half;                                                            \
            die();                                                                                            \
            return errno = why, -1;                                                                           \
        }                                                                                                     \
        return real whole;                                                                                    \
    }

WRITER(write, (int fd, const void *data, size_t size), (fd, data, size / 2), (fd, data, size), int, const void *, size_t)
WRITER(pwrite, (int fd, const void *data, size_t size, off_t place), (fd, data, size / 2, place), (fd, data, size, place), int, const void *, size_t, off_t)
WRITER(pwrite64, (int fd, const void *data, size_t size, off64_t place), (fd, data, size / 2, place), (fd, data, size, place), int, const void *, size_t, off64_t)
WRITER(sendfile, (int fd, int from, off_t *place, size_t size), (fd, from, place, size / 2), (fd, from, place, size), int, int, off_t *, size_t)
WRITER(sendfile64, (int fd, int from, off64_t *place, size_t size), (fd, from, place, size / 2), (fd, from, place, size), int, int, off64_t *, size_t)

#define CALL(name, parameters, given, counts, grows, ...)                                                     \
    int name parameters {                                                                                     \
        static int (*real)(__VA_ARGS__);                                                                      \
        if (!real) real = REAL(int, name, __VA_ARGS__);                                                       \
        if (fails(counts, grows)) return die(), -1;                                                           \
        return real given;                                                                                    \
    }

/* Not done, where the machine goes on: it would take most of the time. */
int fsync(int fd) { return fails(inside_fd(fd), 0) ? die(), -1 : 0; }
int fdatasync(int fd) { return fsync(fd); }

CALL(flock, (int fd, int how), (fd, how), inside_fd(fd), 0, int, int)
CALL(ftruncate, (int fd, off_t size), (fd, size), inside_fd(fd), 1, int, off_t)
CALL(ftruncate64, (int fd, off64_t size), (fd, size), inside_fd(fd), 1, int, off64_t)
CALL(rename, (const char *from, const char *to), (from, to), inside(to), 0, const char *, const char *)
CALL(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), inside_at(b, to), 0, int, const char *, int, const char *)
CALL(unlink, (const char *path), (path), inside(path), 0, const char *)
CALL(unlinkat, (int fd, const char *path, int how), (fd, path, how), inside_at(fd, path), 0, int, const char *, int)
CALL(rmdir, (const char *path), (path), inside(path), 0, const char *)
CALL(mkdir, (const char *path, mode_t mode), (path, mode), inside(path), 1, const char *, mode_t)
CALL(mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), inside_at(fd, path), 1, int, const char *, mode_t)

#define OPENER(name)                                                                                          \
    int name(const char *path, int flags, ...) {                                                              \
        static int (*real)(const char *, int, ...);                                                           \
        va_list more;                                                                                         \
        va_start(more, flags);                                                                                \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                               \
        va_end(more);                                                                                         \
        if (!real) real = REAL(int, name, const char *, int, ...);                                            \
        if (fails(inside(path) && (flags & O_ACCMODE) != O_RDONLY, flags & O_CREAT)) return die(), -1;        \
        return real(path, flags, mode);                                                                       \
    }

OPENER(open)
OPENER(open64)
