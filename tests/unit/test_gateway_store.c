/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "gateway/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ROUNDS 1000

static char directory[64], path[96], key[96];

static int set_up(void **state)
{
	snprintf(directory, sizeof(directory), "/tmp/test-store-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/db", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"db", "db-wal", "db-shm", "key", "other"};
	char file[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", directory, names[i]);
		unlink(file);
	}
	return rmdir(directory);
}

static struct store *open_store(void)
{
	const struct store_options options = {path, key};
	struct store *store = NULL;
	struct error err = {};

	if (store_open(&options, &store, &err))
		fail_msg("%s", err.message);
	return store;
}

static struct store_object make(const char *name, const char *payload, const char *label)
{
	struct store_object object = {.kind = STORE_SANDBOX};
	char id[37];

	store_make_id(id);
	object.id = strdup(id);
	object.workspace = strdup("default");
	object.name = strdup(name);
	object.payload = (uint8_t *)strdup(payload);
	object.payload_size = strlen(payload);
	if (label) {
		object.label = calloc(1, sizeof(char *));
		object.label[0] = strdup(label);
		object.labels = 1;
	}
	return object;
}

static void writes_and_reads(void **state)
{
	struct store *store = open_store();
	struct store_object object = make("one", "a secret payload", "team=a"), got;
	struct error err = {};
	struct stat st;
	uint64_t count;

	assert_int_equal(store_insert(store, &object, &err), 0);
	assert_int_equal(object.version, 1);
	assert_true(object.created_ms > 0);
	assert_int_equal(store_insert(store, &object, &err), -EEXIST);
	assert_non_null(strstr(err.message, "one"));
	assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err), 0);
	assert_string_equal(got.id, object.id);
	assert_int_equal(got.payload_size, object.payload_size);
	assert_memory_equal(got.payload, object.payload, got.payload_size);
	assert_int_equal(got.labels, 1);
	assert_string_equal(got.label[0], "team=a");
	store_object_clear(&got);
	assert_int_equal(store_get(store, STORE_SANDBOX, "other", "one", &got, &err), -ENOENT);
	assert_int_equal(store_get_id(store, STORE_PROVIDER, object.id, &got, &err), -ENOENT);
	assert_int_equal(store_count(store, STORE_SANDBOX, "default", &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store_object_clear(&object);
	store_close(store);
	store = open_store();
	assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err), 0);
	store_object_clear(&got);
	assert_int_equal(store_check(store, &err), 0);
	store_close(store);
}

static void compares_versions(void **state)
{
	struct store *store = open_store();
	struct store_object object = make("one", "1", NULL), got;
	struct error err = {};

	assert_int_equal(store_insert(store, &object, &err), 0);
	assert_int_equal(store_update(store, &object, 1, &err), 0);
	assert_int_equal(object.version, 2);
	assert_int_equal(store_update(store, &object, 1, &err), -ESTALE);
	assert_int_equal(object.version, 2);
	assert_int_equal(store_update(store, &object, 0, &err), 0);
	assert_int_equal(object.version, 3);
	assert_int_equal(store_delete(store, STORE_SANDBOX, object.id, 2, &err), -ESTALE);
	assert_int_equal(store_get_id(store, STORE_SANDBOX, object.id, &got, &err), 0);
	assert_int_equal(got.version, 3);
	store_object_clear(&got);
	assert_int_equal(store_delete(store, STORE_SANDBOX, object.id, 3, &err), 0);
	assert_int_equal(store_delete(store, STORE_SANDBOX, object.id, 0, &err), -ENOENT);
	assert_int_equal(store_update(store, &object, 0, &err), -ENOENT);
	store_object_clear(&object);
	store_close(store);
}

/* Both write at the same version, at the same moment, a thousand times: returns a bit for each. */
static int race(int who, struct store_object *object, pthread_barrier_t *barrier, uint8_t *won)
{
	struct store *store = open_store();
	struct error err = {};

	for (uint64_t round = 1; round <= ROUNDS; round++) {
		int r;

		pthread_barrier_wait(barrier);
		r = store_update(store, object, round, &err);
		if (r != 0 && r != -ESTALE)
			return 2;
		if (!r)
			__atomic_or_fetch(&won[round], (uint8_t)(1 << who), __ATOMIC_SEQ_CST);
	}
	store_close(store);
	return 0;
}

static void one_of_two_writers_wins(void **state)
{
	struct shared {
		pthread_barrier_t barrier;
		uint8_t won[ROUNDS + 1];
	} *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	struct store *store = open_store();
	struct store_object object = make("race", "0", NULL);
	struct error err = {};
	pthread_barrierattr_t attr;
	int won[2] = {};

	assert_ptr_not_equal(shared, MAP_FAILED);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attr, 2);
	assert_int_equal(store_insert(store, &object, &err), 0);
	store_close(store);
	for (int who = 0; who < 2; who++)
		if (!fork())
			_exit(race(who, &object, &shared->barrier, shared->won));
	for (int i = 0, status; i < 2; i++) {
		wait(&status);
		assert_int_equal(status, 0);
	}
	for (int round = 1; round <= ROUNDS; round++) {
		assert_true(shared->won[round] == 1 || shared->won[round] == 2);
		won[shared->won[round] - 1]++;
	}
	print_message("# %d and %d\n", won[0], won[1]);
	munmap(shared, sizeof(*shared));
	store_object_clear(&object);
}

static void selects_by_labels(void **state)
{
	static const struct {
		const char *selector;
		int count; /* or an error */
	} cases[] = {
		{"", 4},	{"team=a", 2},	 {"team=a%", 0},	{"team", 3},
		{"team!=a", 2}, {"team==b", 1},	 {"team=a,team!=b", 2}, {"tea", 0},
		{"team=", 0},	{"=a", -EINVAL}, {"team=a,", -EINVAL},	{"!team", -EINVAL},
		{"t_am=a", 0},	{"a b", 0},
	};
	struct store *store = open_store();
	struct store_list list;
	struct error err = {};

	for (int i = 0; i < 4; i++) {
		static const char *const labels[] = {"team=a", "team=a", "team=b", "x=team"};
		char name[16];

		snprintf(name, sizeof(name), "s%d", i);
		struct store_object object = make(name, "p", labels[i]);

		assert_int_equal(store_insert(store, &object, &err), 0);
		store_object_clear(&object);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct store_query query = {.kind = STORE_SANDBOX,
						  .selector = cases[i].selector};
		int r = store_list(store, &query, &list, &err);

		if (!r) {
			r = (int)list.count;
			store_list_clear(&list);
		}
		if (r != cases[i].count)
			fail_msg("'%s': %d, not %d", cases[i].selector, r, cases[i].count);
	}
	assert_int_equal(store_list(store,
				    &(struct store_query){.kind = STORE_SANDBOX,
							  .limit = 2,
							  .offset = 1,
							  .name_prefix = "s"},
				    &list, &err),
			 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].name, "s1");
	store_list_clear(&list);
	store_close(store);
}

static void change_file(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void notices_what_was_changed(void **state)
{
	static const char *const changes[] = {
		"UPDATE objects SET version = 7",
		"UPDATE objects SET id = 'another'",
		"UPDATE objects SET payload = (SELECT payload FROM objects WHERE name = 'two')"
		" WHERE name = 'one'",
		"UPDATE objects SET payload = x'00'",
	};
	struct error err = {};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		struct store *store = open_store();
		struct store_object one = make("one", "1", NULL), two = make("two", "2", NULL), got;

		assert_int_equal(store_insert(store, &one, &err), 0);
		assert_int_equal(store_insert(store, &two, &err), 0);
		store_object_clear(&one);
		store_object_clear(&two);
		if (i == 1)
			change_file("DELETE FROM objects WHERE name = 'two'");
		change_file(changes[i]);
		assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err),
				 -EBADMSG);
		assert_int_equal(store_check(store, &err), -EBADMSG);
		change_file("DELETE FROM objects");
		store_close(store);
	}
}

static void refuses_files_that_are_not_right(void **state)
{
	const struct store_options options = {path, key};
	struct store *store = open_store();
	struct store_object object = make("one", "1", NULL), got;
	struct error err = {};
	char other[128];

	assert_int_equal(store_insert(store, &object, &err), 0);
	store_object_clear(&object);
	store_close(store);
	assert_int_equal(chmod(key, 0644), 0);
	assert_int_equal(store_open(&options, &store, &err), -EPERM);
	assert_int_equal(chmod(key, 0600), 0);
	change_file("PRAGMA user_version = 2");
	assert_int_equal(store_open(&options, &store, &err), -EPROTO);
	assert_non_null(strstr(err.message, "newer"));
	change_file("PRAGMA user_version = 1");
	snprintf(other, sizeof(other), "%s/other", directory);
	assert_int_equal(rename(key, other), 0);
	/* A new key would not open what there is. */
	assert_int_equal(store_open(&options, &store, &err), -ENOENT);
	{
		_cleanup_close_ int fd = open(key, O_WRONLY | O_CREAT, 0600);

		assert_int_equal(write(fd, "01234567890123456789012345678901", 32), 32);
	}
	assert_int_equal(store_open(&options, &store, &err), 0);
	assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err), -EBADMSG);
	store_close(store);
}

static void hides_payloads(void **state)
{
	struct store *store = open_store();
	struct store_object object = make("one", "THE-SECRET-IN-IT", NULL);
	struct error err = {};
	static const char *const names[] = {"db", "db-wal"};

	assert_int_equal(store_insert(store, &object, &err), 0);
	store_object_clear(&object);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char file[128];
		_cleanup_free_ char *data = malloc(1 << 20);
		_cleanup_close_ int fd = -1;
		ssize_t n;

		snprintf(file, sizeof(file), "%s/%s", directory, names[i]);
		fd = open(file, O_RDONLY);
		n = read(fd, data, 1 << 20);
		assert_true(n >= 0);
		assert_null(memmem(data, (size_t)n, "SECRET", 6));
	}
	store_close(store);
}

static void changes_together_or_not_at_all(void **state)
{
	struct store *store = open_store();
	struct store_object one = make("one", "1", NULL), two = make("two", "2", NULL), got;
	struct error err = {};

	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(store_insert(store, &one, &err), 0);
	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(store_insert(store, &two, &err), 0);
	store_rollback(store);
	assert_int_equal(store_commit(store, &err), -ECANCELED);
	assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err), -ENOENT);
	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(store_insert(store, &one, &err), 0);
	/* A stale write changes nothing, and does not end the transaction. */
	assert_int_equal(store_update(store, &one, 9, &err), -ESTALE);
	assert_int_equal(store_update(store, &one, 1, &err), 0);
	assert_int_equal(store_commit(store, &err), 0);
	assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err), 0);
	assert_int_equal(got.version, 2);
	store_object_clear(&got);
	store_object_clear(&one);
	store_object_clear(&two);
	store_close(store);
}

/* The disk is full: said as such, and what was written before stays. */
static void survives_a_full_disk(void **state)
{
	struct store *store = open_store();
	struct store_object one = make("one", "1", NULL), got;
	struct error err = {};
	struct rlimit limit, before;
	char *large = malloc(1 << 20);
	int r;

	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = 0;
	assert_int_equal(store_insert(store, &one, &err), 0);
	store_object_clear(&one);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 256 << 10;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	one = make("two", large, NULL);
	r = store_insert(store, &one, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_true(r == -ENOSPC || r == -EIO);
	assert_int_equal(store_get(store, STORE_SANDBOX, "default", "one", &got, &err), 0);
	store_object_clear(&got);
	assert_int_equal(store_insert(store, &one, &err), 0);
	assert_int_equal(store_check(store, &err), 0);
	store_object_clear(&one);
	store_close(store);
	free(large);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(writes_and_reads),		TEST(compares_versions),
		TEST(one_of_two_writers_wins),	TEST(selects_by_labels),
		TEST(notices_what_was_changed), TEST(refuses_files_that_are_not_right),
		TEST(hides_payloads),		TEST(changes_together_or_not_at_all),
		TEST(survives_a_full_disk),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("gateway_store", tests, NULL, NULL);
}
