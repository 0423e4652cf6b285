/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/binaries_hash.h"

#include "common/cleanup.h"
#include "bpf/include/identity.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

/* A file changed longer ago than this would show another change: its clock has gone on. */
#define SETTLE_NS 20000000
#define ATTEMPTS  3
#define CHUNK	  (256 * 1024)
#define END_MS	  2000 /* for the thread to notice that it is to end */

struct job {
	struct binaries_hash_result result;
	EVP_MD_CTX *digest;
	int fd;
};

struct binaries_hash {
	const struct kernel *kernel;
	struct binaries_hash_limits limits;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool started, end;
	int event_fd;
	/* One ring: [collected..done) have results, [done..submitted) wait or are under way. */
	struct job job[BINARIES_HASH_JOBS];
	unsigned int collected, done, submitted;
	uint8_t chunk[CHUNK];
};

static struct job *job_of(struct binaries_hash *hash, unsigned int n)
{
	return &hash->job[n % BINARIES_HASH_JOBS];
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool ending(struct binaries_hash *hash)
{
	bool end;

	pthread_mutex_lock(&hash->lock);
	end = hash->end;
	pthread_mutex_unlock(&hash->lock);
	return end;
}

/* Read all of it into the digest. */
static int digest(struct binaries_hash *hash, struct job *job, int fd)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + hash->limits.ms * UINT64_C(1000000), size = 0;

	if (!EVP_DigestInit_ex(job->digest, NULL, NULL))
		return -EIO;
	for (;;) {
		ssize_t n = pread(fd, hash->chunk, sizeof(hash->chunk), (off_t)size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return EVP_DigestFinal_ex(job->digest, job->result.sha256, NULL) ? 0 : -EIO;
		size += (uint64_t)n;
		if (size > hash->limits.bytes)
			return -EFBIG;
		if (now_ns(CLOCK_MONOTONIC) > until)
			return -ETIMEDOUT;
		if (ending(hash))
			return -ECANCELED;
		/* Somebody waits to write to it. */
		if (fcntl(fd, F_GETLEASE) != F_RDLCK)
			return -EAGAIN;
		if (!EVP_DigestUpdate(job->digest, hash->chunk, (size_t)n))
			return -EIO;
	}
}

/*
 * One reading. Whoever has the file open for writing may write through a mapping without another
 * change of its ctime, so nobody may have: that is what a read lease is granted for. Somebody who
 * opens it meanwhile waits, and breaks the lease.
 */
static int attempt(struct binaries_hash *hash, struct job *job, int fd)
{
	struct os_image before, after;
	int r;

	/* An overlay's inode learns its times when the file is read. */
	if (pread(fd, hash->chunk, 1, 0) < 0)
		return -errno;
	r = kernel_identify(hash->kernel, fd, &before, NULL);
	if (r)
		return r;
	if (!identity_file_equal(&before.file, &job->result.file))
		return -ESTALE;
	if (before.changed + SETTLE_NS > now_ns(CLOCK_REALTIME))
		return -EAGAIN;
	if (fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETLEASE, F_RDLCK))
		return -errno;
	r = digest(hash, job, fd);
	if (!r)
		r = kernel_identify(hash->kernel, fd, &after, NULL);
	if (!r && (fcntl(fd, F_GETLEASE) != F_RDLCK || !identity_image_equal(&before, &after)))
		r = -EAGAIN;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	if (!r)
		job->result.changed = after.changed;
	return r;
}

static int work(struct binaries_hash *hash, struct job *job)
{
	const struct timespec settle = {.tv_nsec = SETTLE_NS};
	_cleanup_close_ int fd = -1;
	char path[64];
	int r = -EAGAIN;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", job->fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {
		if (i)
			nanosleep(&settle, NULL);
		r = attempt(hash, job, fd);
	}
	return r;
}

static void *run(void *arg)
{
	struct binaries_hash *hash = arg;

	setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
	pthread_mutex_lock(&hash->lock);
	for (;;) {
		const uint64_t one = 1;
		struct job *job;
		int r;

		while (!hash->end && hash->done == hash->submitted)
			pthread_cond_wait(&hash->wake, &hash->lock);
		if (hash->end)
			break;
		job = job_of(hash, hash->done);
		pthread_mutex_unlock(&hash->lock);
		r = work(hash, job);
		pthread_mutex_lock(&hash->lock);
		job->result.error = r;
		job->fd = safe_close(job->fd);
		hash->done++;
		if (write(hash->event_fd, &one, sizeof(one)) < 0) {
			/* It is full, so it is readable. */
		}
	}
	pthread_mutex_unlock(&hash->lock);
	return NULL;
}

int binaries_hash_new(const struct kernel *kernel, const struct binaries_hash_limits *limits,
		      struct binaries_hash **ret_hash)
{
	struct binaries_hash *hash = calloc(1, sizeof(*hash));

	if (!hash)
		return -ENOMEM;
	hash->kernel = kernel;
	hash->limits = *limits;
	hash->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (hash->event_fd < 0) {
		free(hash);
		return -errno;
	}
	pthread_mutex_init(&hash->lock, NULL);
	pthread_cond_init(&hash->wake, NULL);
	*ret_hash = hash;
	return 0;
}

static bool end_thread(struct binaries_hash *hash)
{
	struct timespec until;

	pthread_mutex_lock(&hash->lock);
	hash->end = true;
	pthread_cond_signal(&hash->wake);
	pthread_mutex_unlock(&hash->lock);
	if (!hash->started)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_MS / 1000;
	if (!pthread_timedjoin_np(hash->thread, NULL, &until))
		return true;
	pthread_detach(hash->thread);
	return false;
}

void binaries_hash_free(struct binaries_hash *hash)
{
	if (!hash || !end_thread(hash))
		return;
	for (unsigned int n = hash->collected; n != hash->submitted; n++) {
		safe_close(job_of(hash, n)->fd);
		EVP_MD_CTX_free(job_of(hash, n)->digest);
	}
	pthread_mutex_destroy(&hash->lock);
	pthread_cond_destroy(&hash->wake);
	safe_close(hash->event_fd);
	free(hash);
}

/* Signals are for the thread that has the loop. */
static int start_thread(struct binaries_hash *hash)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&hash->thread, NULL, run, hash);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	hash->started = !r;
	return -r;
}

int binaries_hash_submit(struct binaries_hash *hash, const struct os_file_id *file,
			 uint32_t generation, int fd)
{
	_cleanup_close_ int own = fd;
	EVP_MD_CTX *digest_context;
	int r;

	if (hash->submitted - hash->collected == BINARIES_HASH_JOBS)
		return -EAGAIN;
	digest_context = EVP_MD_CTX_new();
	if (!digest_context || !EVP_DigestInit_ex(digest_context, EVP_sha256(), NULL)) {
		EVP_MD_CTX_free(digest_context);
		return -ENOMEM;
	}
	r = hash->started ? 0 : start_thread(hash);
	if (r) {
		EVP_MD_CTX_free(digest_context);
		return r;
	}
	pthread_mutex_lock(&hash->lock);
	*job_of(hash, hash->submitted) = (struct job){
		.result = {.file = *file, .generation = generation},
		.digest = digest_context,
		.fd = TAKE_FD(own),
	};
	hash->submitted++;
	pthread_cond_signal(&hash->wake);
	pthread_mutex_unlock(&hash->lock);
	return 0;
}

int binaries_hash_fd(const struct binaries_hash *hash)
{
	return hash->event_fd;
}

int binaries_hash_collect(struct binaries_hash *hash, struct binaries_hash_result *ret_result)
{
	struct job *job;
	uint64_t n;
	bool none;

	pthread_mutex_lock(&hash->lock);
	none = hash->collected == hash->done;
	if (none && read(hash->event_fd, &n, sizeof(n)) < 0) {
		/* Nothing was said since the last time. */
	}
	pthread_mutex_unlock(&hash->lock);
	if (none)
		return -EAGAIN;
	job = job_of(hash, hash->collected);
	*ret_result = job->result;
	EVP_MD_CTX_free(job->digest);
	hash->collected++;
	return 0;
}
