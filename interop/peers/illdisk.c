/* A disk that loses power, runs full, turns read-only, fails or is slow: a library to load before a program.
 *
 * Everything the program writes below ILLDISK_DIR goes to the files at once, so that it reads what it wrote; beside that
 * we keep, for each file, what a disk would hold: only an fsync moves writes there. When the power goes, each file becomes
 * what the disk held, plus a random choice of the sectors that were under way, and the process ends. Names that were made,
 * moved or removed count once their directory was synced; until then the last of them are undone, a random number.
 *
 * Commands come as lines through the pipe ILLDISK_PIPE: cut SEED, full, readonly, failing (each fsync fails, and what it
 * should have written is lost, as on Linux), slow MICROSECONDS, well. ILLDISK_CUT=N SEED instead cuts at the Nth change.
 *
 * Not covered: the write-ahead log's index (-shm). It is mapped, and the database makes it anew after a crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS 65536

struct change { /* a write, or with data == NULL a new length */
	struct change *next;
	unsigned long serial;
	off_t at;
	size_t length;
	char *data;
};

struct file {
	struct file *next;
	char *path; /* NULL once it is unlinked */
	int directory;
	char *disk; /* what the disk holds */
	size_t length, room;
	struct change *first, **last;
};

struct entry { /* what was done to names since the directory was synced, newest first */
	struct entry *next;
	char kind; /* c made, u unlinked, r renamed */
	char *path, *to, *aside;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files, *by_fd[FDS];
static struct entry *entries;
static char dir[PATH_MAX];
static size_t dir_length;
static int fault, failing, slow;
static long countdown, asides;
static unsigned long serial;
static unsigned long long dice;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_close)(int), (*real_dup2)(int, int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

static void find_real(void)
{
	if (real_write)
		return;
	real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	real_open = dlsym(RTLD_NEXT, "open64");
	real_dup2 = dlsym(RTLD_NEXT, "dup2");
	real_close = dlsym(RTLD_NEXT, "close");
	real_unlink = dlsym(RTLD_NEXT, "unlink");
	real_rename = dlsym(RTLD_NEXT, "rename");
	real_write = dlsym(RTLD_NEXT, "write");
}

static unsigned long long roll(void)
{
	unsigned long long z = dice += 0x9e3779b97f4a7c15ull;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void die(const char *why)
{
	dprintf(2, "illdisk: %s: %s\n", why, strerror(errno));
	_exit(99);
}

static void *must(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

static void resize(struct file *f, size_t length)
{
	if (length > f->room) {
		f->room = length * 2;
		f->disk = must(realloc(f->disk, f->room));
	}
	if (length > f->length)
		memset(f->disk + f->length, 0, length - f->length);
	f->length = length;
}

static void apply(struct file *f, off_t at, const char *data, size_t length)
{
	if ((size_t)at + length > f->length)
		resize(f, at + length);
	memcpy(f->disk + at, data, length);
}

/* What reaches the disk of a change when the power goes. */
static void apply_torn(struct file *f, struct change *c)
{
	static const size_t sizes[] = { 512, 4096 };
	size_t sector = sizes[roll() % 2], done = 0;
	int keep = roll() % 3; /* nothing, everything, or sector by sector */

	if (keep == 0)
		return;
	if (!c->data) {
		resize(f, c->at);
		return;
	}
	while (done < c->length) {
		size_t here = sector - (c->at + done) % sector;
		if (here > c->length - done)
			here = c->length - done;
		if (keep == 1 || roll() % 2)
			apply(f, c->at + done, c->data + done, here);
		done += here;
	}
}

/* Drops the changes up to `mark`, moving them to the disk unless they are lost. */
static void flush(struct file *f, unsigned long mark, int lost)
{
	while (f->first && f->first->serial <= mark) {
		struct change *c = f->first;
		if (!lost && c->data)
			apply(f, c->at, c->data, c->length);
		else if (!lost)
			resize(f, c->at);
		f->first = c->next;
		free(c->data);
		free(c);
	}
	if (!f->first)
		f->last = &f->first;
}

static void drop_entries(void)
{
	while (entries) {
		struct entry *e = entries;
		entries = e->next;
		if (e->aside)
			real_unlink(e->aside);
		free(e->path), free(e->to), free(e->aside), free(e);
	}
}

/* Never returns. The lock is held: nobody else changes or acknowledges anything any more. */
static void cut(void)
{
	size_t count = 0, undo;

	for (struct entry *e = entries; e; e = e->next)
		count++;
	for (struct file *f = files; f; f = f->next) {
		int fd;
		if (f->directory || !f->path)
			continue;
		for (struct change *c = f->first; c; c = c->next)
			apply_torn(f, c);
		if ((fd = real_open(f->path, O_WRONLY | O_TRUNC)) < 0)
			continue;
		for (size_t done = 0; done < f->length;) {
			ssize_t n = real_pwrite(fd, f->disk + done, f->length - done, done);
			if (n <= 0)
				die("the image cannot be written");
			done += n;
		}
		real_close(fd);
	}
	undo = roll() % (count + 1);
	for (struct entry *e = entries; e && undo; e = e->next, undo--) {
		if (e->kind == 'c')
			real_unlink(e->path);
		if (e->kind == 'r')
			real_rename(e->to, e->path);
		if (e->aside && link(e->aside, e->kind == 'r' ? e->to : e->path) != 0)
			die("a name cannot be put back");
	}
	drop_entries();
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void count_change(void)
{
	if (countdown && --countdown == 0)
		cut();
}

static void changed(struct file *f, off_t at, const void *data, size_t length)
{
	struct change *c = must(calloc(1, sizeof *c));
	c->serial = ++serial;
	c->at = at;
	c->length = length;
	if (data)
		memcpy(c->data = must(malloc(length ? length : 1)), data, length);
	*f->last = c;
	f->last = &c->next;
	count_change();
}

static int ours(const char *path)
{
	size_t n = strlen(path);
	return dir_length && strncmp(path, dir, dir_length) == 0 && (n < 4 || strcmp(path + n - 4, "-shm") != 0);
}

static char *absolute(const char *path)
{
	char here[PATH_MAX], *whole = NULL;
	if (path[0] == '/')
		return must(strdup(path));
	if (!getcwd(here, sizeof here) || asprintf(&whole, "%s/%s", here, path) < 0)
		die("a path");
	return whole;
}

static struct file *find(const char *path)
{
	struct file *f = files;
	while (f && (!f->path || strcmp(f->path, path) != 0))
		f = f->next;
	return f;
}

static struct entry *note(char kind, const char *path, const char *to)
{
	struct entry *e = must(calloc(1, sizeof *e));
	e->kind = kind;
	e->path = must(strdup(path));
	e->to = to ? must(strdup(to)) : NULL;
	e->next = entries;
	return entries = e;
}

/* Keeps what is about to lose its name. */
static char *put_aside(const char *path)
{
	char *aside = NULL;
	if (asprintf(&aside, "%s/.aside-%d-%ld", dir, getpid(), asides++) < 0)
		die("a name");
	if (link(path, aside) != 0) {
		free(aside);
		return NULL;
	}
	return aside;
}

static void opened(int fd, const char *path, int is_new)
{
	struct stat about;
	struct file *f = find(path);

	if (fstat(fd, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
		return;
	if (!f) {
		f = must(calloc(1, sizeof *f));
		f->path = must(strdup(path));
		f->directory = S_ISDIR(about.st_mode);
		f->last = &f->first;
		f->next = files;
		files = f;
		if (!f->directory && about.st_size > 0) {
			int other = real_open(path, O_RDONLY);
			resize(f, about.st_size);
			if (other < 0 || pread(other, f->disk, f->length, 0) != (ssize_t)f->length)
				die("a file cannot be read");
			real_close(other);
		}
	}
	if (is_new) {
		note('c', path, NULL);
		count_change();
	}
	by_fd[fd] = f;
}

static int open_any(const char *path, int flags, mode_t mode)
{
	char *whole;
	int fd, is_new;

	find_real();
	whole = absolute(path);
	if (!ours(whole)) {
		free(whole);
		return real_open(path, flags, mode);
	}
	pthread_mutex_lock(&lock);
	is_new = (flags & O_CREAT) && access(whole, F_OK) != 0;
	if (fault && (is_new || (fault == EROFS && (flags & O_ACCMODE) != O_RDONLY))) {
		fd = -1;
		errno = fault;
	} else {
		fd = real_open(path, flags, mode);
		if (fd >= 0 && fd < FDS) {
			opened(fd, whole, is_new);
			if ((flags & O_TRUNC) && by_fd[fd])
				changed(by_fd[fd], 0, NULL, 0);
		}
	}
	pthread_mutex_unlock(&lock);
	free(whole);
	return fd;
}

#define MODE(flags, mode) \
	mode_t mode = 0; \
	if ((flags) & (O_CREAT | O_TMPFILE)) { \
		va_list more; \
		va_start(more, flags); \
		mode = va_arg(more, mode_t); \
		va_end(more); \
	}

int open(const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE(flags, mode)
	return open_any(path, flags, mode);
}

int close(int fd)
{
	find_real();
	if (fd >= 0 && fd < FDS && by_fd[fd]) {
		pthread_mutex_lock(&lock);
		by_fd[fd] = NULL;
		pthread_mutex_unlock(&lock);
	}
	return real_close(fd);
}

int dup2(int old, int new)
{
	int done;

	find_real();
	done = real_dup2(old, new);
	if (done >= 0 && done < FDS && old < FDS)
		by_fd[done] = by_fd[old];
	return done;
}

static ssize_t write_any(int fd, const void *data, size_t length, off_t at, int here)
{
	ssize_t done = -1;
	struct file *f;

	find_real();
	f = fd >= 0 && fd < FDS ? by_fd[fd] : NULL;
	if (!f)
		return here ? real_write(fd, data, length) : real_pwrite(fd, data, length, at);
	pthread_mutex_lock(&lock);
	if (fault) {
		errno = fault;
	} else {
		if (here)
			at = lseek(fd, 0, SEEK_CUR);
		done = here ? real_write(fd, data, length) : real_pwrite(fd, data, length, at);
		if (done > 0)
			changed(f, at, data, done);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t write(int fd, const void *data, size_t length)
{
	return write_any(fd, data, length, 0, 1);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	return write_any(fd, data, length, at, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at)
{
	return write_any(fd, data, length, at, 0);
}

static int truncate_any(int fd, off_t length)
{
	struct file *f;
	int done = -1;

	find_real();
	f = fd >= 0 && fd < FDS ? by_fd[fd] : NULL;
	if (!f)
		return real_ftruncate(fd, length);
	pthread_mutex_lock(&lock);
	if (fault)
		errno = fault;
	else if ((done = real_ftruncate(fd, length)) == 0)
		changed(f, length, NULL, 0);
	pthread_mutex_unlock(&lock);
	return done;
}

int ftruncate(int fd, off_t length)
{
	return truncate_any(fd, length);
}

int ftruncate64(int fd, off_t length)
{
	return truncate_any(fd, length);
}

/* The real disk is not asked: that it keeps what it is told is not what is tested here. */
static int sync_any(int fd)
{
	struct file *f;
	unsigned long mark;
	int done = 0, wait;

	f = fd >= 0 && fd < FDS ? by_fd[fd] : NULL;
	if (!f)
		return 0;
	pthread_mutex_lock(&lock);
	count_change();
	/* What comes while we wait is not covered. */
	mark = serial;
	wait = slow;
	pthread_mutex_unlock(&lock);
	if (wait)
		usleep(wait);
	pthread_mutex_lock(&lock);
	if (failing || fault == EROFS) {
		done = -1;
		errno = EIO;
	}
	flush(f, mark, done != 0);
	if (f->directory && done == 0)
		drop_entries();
	pthread_mutex_unlock(&lock);
	return done;
}

int fsync(int fd)
{
	return sync_any(fd);
}

int fdatasync(int fd)
{
	return sync_any(fd);
}

int unlink(const char *path)
{
	char *whole, *aside;
	int done = -1;

	find_real();
	whole = absolute(path);
	if (!ours(whole)) {
		free(whole);
		return real_unlink(path);
	}
	pthread_mutex_lock(&lock);
	if (fault == EROFS) {
		errno = fault;
	} else {
		struct file *f = find(whole);
		aside = put_aside(whole);
		if ((done = real_unlink(whole)) == 0) {
			if (f) {
				free(f->path);
				f->path = NULL;
			}
			note('u', whole, NULL)->aside = aside;
			count_change();
		}
	}
	pthread_mutex_unlock(&lock);
	free(whole);
	return done;
}

int rename(const char *from, const char *to)
{
	char *old, *new, *aside;
	int done = -1;

	find_real();
	old = absolute(from);
	new = absolute(to);
	if (!ours(old) && !ours(new)) {
		done = real_rename(from, to);
	} else {
		pthread_mutex_lock(&lock);
		if (fault == EROFS) {
			errno = fault;
		} else {
			struct file *moved = find(old), *gone = find(new);
			aside = put_aside(new);
			if ((done = real_rename(old, new)) == 0) {
				if (gone)
					free(gone->path), gone->path = NULL;
				if (moved)
					free(moved->path), moved->path = must(strdup(new));
				note('r', old, new)->aside = aside;
				count_change();
			}
		}
		pthread_mutex_unlock(&lock);
	}
	free(old), free(new);
	return done;
}

static void *listen_to(void *pipe)
{
	char line[128];
	for (;;) {
		FILE *in = fopen(pipe, "r");
		if (!in)
			return NULL;
		while (fgets(line, sizeof line, in)) {
			pthread_mutex_lock(&lock);
			if (sscanf(line, "cut %llu", &dice) == 1)
				cut();
			if (strncmp(line, "full", 4) == 0)
				fault = ENOSPC;
			if (strncmp(line, "readonly", 8) == 0)
				fault = EROFS;
			if (strncmp(line, "failing", 7) == 0)
				failing = 1;
			sscanf(line, "slow %d", &slow);
			if (strncmp(line, "well", 4) == 0)
				fault = failing = slow = 0;
			pthread_mutex_unlock(&lock);
		}
		fclose(in);
	}
}

__attribute__((constructor)) static void begin(void)
{
	const char *where = getenv("ILLDISK_DIR"), *pipe = getenv("ILLDISK_PIPE"), *at = getenv("ILLDISK_CUT");
	pthread_t ear;

	find_real();
	if (!where || !realpath(where, dir))
		return;
	if (at)
		sscanf(at, "%ld %llu", &countdown, &dice);
	dir_length = strlen(dir);
	if (pipe && pthread_create(&ear, NULL, listen_to, strdup(pipe)) != 0)
		die("no thread");
}
