/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by the helper thread; a file's own inode number and ctime are what the kernel would say.
 */
#include "common/cleanup.h"
#include "supervisor/binaries_hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char path[] = "/tmp/ostest-hash-XXXXXX";

int kernel_identify(const struct kernel *kernel, int fd, struct os_image *ret_image,
		    uint32_t *ret_mode)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*ret_image = (struct os_image){
		.file = {.ino = st.st_ino, .dev = (uint32_t)st.st_dev},
		.changed = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec,
	};
	if (ret_mode)
		*ret_mode = st.st_mode;
	return 0;
}

static struct binaries_hash *with_limits(uint64_t bytes, unsigned int ms)
{
	struct binaries_hash *hash;

	assert_int_equal(binaries_hash_new(NULL,
					   &(struct binaries_hash_limits){.bytes = bytes, .ms = ms},
					   &hash),
			 0);
	return hash;
}

static void fill(size_t size, char with)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	char block[4096];

	memset(block, with, sizeof(block));
	for (size_t n; size; size -= n) {
		n = size < sizeof(block) ? size : sizeof(block);
		assert_int_equal(write(fd, block, n), n);
	}
}

static struct os_image submit(struct binaries_hash *hash, uint32_t generation)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct os_image image;

	assert_int_equal(kernel_identify(NULL, fd, &image, NULL), 0);
	assert_int_equal(binaries_hash_submit(hash, &image.file, generation, fd), 0);
	return image;
}

static struct binaries_hash_result collect(struct binaries_hash *hash)
{
	struct pollfd wait = {.fd = binaries_hash_fd(hash), .events = POLLIN};
	struct binaries_hash_result result;

	while (binaries_hash_collect(hash, &result))
		assert_int_equal(poll(&wait, 1, 20000), 1);
	return result;
}

static void digests(void **state)
{
	struct binaries_hash *hash = with_limits(1 << 20, 10000);
	static const size_t sizes[] = {0, 1, 4096, 300000};
	uint8_t *data = calloc(1, 300000), expected[32];

	memset(data, 'a', 300000);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct binaries_hash_result result;
		struct os_image image;

		fill(sizes[i], 'a');
		image = submit(hash, (uint32_t)i + 1);
		result = collect(hash);
		assert_int_equal(result.error, 0);
		assert_int_equal(result.generation, i + 1);
		assert_memory_equal(&result.file, &image.file, sizeof(image.file));
		assert_int_equal(result.changed, image.changed);
		assert_int_equal(EVP_Digest(data, sizes[i], expected, NULL, EVP_sha256(), NULL), 1);
		assert_memory_equal(result.sha256, expected, 32);
	}
	free(data);
	binaries_hash_free(hash);
}

static void limits_are_errors(void **state)
{
	struct binaries_hash *hash = with_limits(1000, 10000);

	fill(1001, 'a');
	submit(hash, 1);
	assert_int_equal(collect(hash).error, -EFBIG);
	fill(1000, 'a');
	submit(hash, 1);
	assert_int_equal(collect(hash).error, 0);
	binaries_hash_free(hash);
	hash = with_limits(1ull << 30, 0);
	fill(1 << 20, 'a');
	submit(hash, 1);
	assert_int_equal(collect(hash).error, -ETIMEDOUT);
	binaries_hash_free(hash);
}

/* Who has it mapped writable changes it without another ctime. */
static void nobody_may_write_meanwhile(void **state)
{
	struct binaries_hash *hash = with_limits(1 << 20, 10000);
	_cleanup_close_ int writer = -1;
	void *mapped;

	fill(4096, 'a');
	writer = open(path, O_RDWR | O_CLOEXEC);
	submit(hash, 1);
	assert_int_equal(collect(hash).error, -EAGAIN);
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	assert_true(mapped != MAP_FAILED);
	writer = safe_close(writer);
	submit(hash, 1);
	assert_int_equal(collect(hash).error, -EAGAIN);
	munmap(mapped, 4096);
	submit(hash, 1);
	assert_int_equal(collect(hash).error, 0);
	binaries_hash_free(hash);
}

static void another_file_is_stale(void **state)
{
	struct binaries_hash *hash = with_limits(1 << 20, 10000);
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct os_image image;

	kernel_identify(NULL, fd, &image, NULL);
	image.file.ino++;
	assert_int_equal(binaries_hash_submit(hash, &image.file, 1, fd), 0);
	assert_int_equal(collect(hash).error, -ESTALE);
	fd = open("/dev/null", O_PATH | O_CLOEXEC);
	kernel_identify(NULL, fd, &image, NULL);
	assert_int_equal(binaries_hash_submit(hash, &image.file, 1, fd), 0);
	assert_true(collect(hash).error != 0);
	binaries_hash_free(hash);
}

static void as_many_as_fit_wait(void **state)
{
	struct binaries_hash *hash = with_limits(1 << 20, 10000);
	unsigned int n = 0, fd_count = 0;
	int r = 0;

	fill(1 << 19, 'a');
	for (; !r && n <= BINARIES_HASH_JOBS; n += !r) {
		int fd = open(path, O_PATH | O_CLOEXEC);
		struct os_image image;

		kernel_identify(NULL, fd, &image, NULL);
		r = binaries_hash_submit(hash, &image.file, n, fd);
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(n, BINARIES_HASH_JOBS);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(collect(hash).generation, i);
	submit(hash, n);
	/* given up in the middle, nothing is left open */
	binaries_hash_free(hash);
	for (int fd = 3; fd < 300; fd++)
		fd_count += fcntl(fd, F_GETFD) >= 0;
	assert_true(fd_count < 20);
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	/* What the lease's end would do to who does not expect it. */
	signal(SIGIO, SIG_DFL);
	return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),
		cmocka_unit_test(limits_are_errors),
		cmocka_unit_test(nobody_may_write_meanwhile),
		cmocka_unit_test(another_file_is_stale),
		cmocka_unit_test(as_many_as_fit_wait),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
