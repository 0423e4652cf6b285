/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/identity.h"

#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

static int resolve(const char *user, const char *group, const char *sudo_uid, const char *sudo_gid,
		   struct identity *ret)
{
	const struct identity_request request = {user, group, sudo_uid, sudo_gid};
	struct error err = {};
	int r = identity_resolve(&request, ret, &err);

	/* Every failure says something. */
	assert_true(r == 0 || (err.code == r && err.message[0]));
	return r;
}

static void numbers_are_taken(void **state)
{
	struct identity who;

	assert_int_equal(resolve("3000000001", "3000000002", NULL, NULL, &who), 0);
	assert_int_equal(who.uid, 3000000001u);
	assert_int_equal(who.gid, 3000000002u);
	assert_int_equal(who.groups_len, 0);
	assert_string_equal(who.name, "3000000001");
	assert_string_equal(who.home, "/");
	assert_string_equal(who.shell, "/bin/sh");
	assert_int_equal(resolve("3000000001", NULL, NULL, NULL, &who), 0);
	assert_int_equal(who.gid, 3000000001u);
	assert_int_equal(resolve("4294967294", "4294967294", NULL, NULL, &who), 0);
	assert_int_equal(who.uid, 4294967294u);
}

static void root_and_nonsense_are_refused(void **state)
{
	static const char *const bad[] = {
		"0",	"00",	 "4294967295", "4294967296", "-1",
		"root", "1500 ", "+1500",      "0x10",	     "18446744073709551617"};
	struct identity who = {.uid = 7};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(resolve(bad[i], NULL, NULL, NULL, &who), -EINVAL);
		assert_int_equal(resolve("1500", bad[i], NULL, NULL, &who), -EINVAL);
		if (strcmp(bad[i], "0"))
			assert_int_equal(resolve(NULL, NULL, bad[i], NULL, &who), -EINVAL);
	}
	assert_int_equal(who.uid, 7);
}

static void plain_root_becomes_sandbox(void **state)
{
	const struct passwd *account = getpwnam(IDENTITY_NAME);
	uid_t uid = account ? account->pw_uid : IDENTITY_FALLBACK;
	struct identity who, named, under_sudo;

	assert_int_equal(resolve(NULL, NULL, NULL, NULL, &who), 0);
	assert_int_equal(who.uid, uid);
	assert_int_not_equal(who.gid, 0);
	assert_int_equal(who.groups_len, 0);
	assert_int_equal(resolve(IDENTITY_NAME, IDENTITY_NAME, "1500", "1500", &named), 0);
	assert_int_equal(named.uid, uid);
	/* sudo by root is root. */
	assert_int_equal(resolve("", "", "0", "0", &under_sudo), 0);
	assert_int_equal(under_sudo.uid, uid);
}

static void sudo_gives_the_user_back(void **state)
{
	struct identity who;

	assert_int_equal(resolve(NULL, NULL, "3000000001", "3000000002", &who), 0);
	assert_int_equal(who.uid, 3000000001u);
	assert_int_equal(who.gid, 3000000002u);
	for (size_t i = 0; i < who.groups_len; i++)
		assert_int_not_equal(who.groups[i], 0);
	assert_int_equal(resolve(NULL, NULL, "3000000001", "0", &who), 0);
	assert_int_equal(who.gid, 3000000001u);
	/* The policy's word comes first, each on its own. */
	assert_int_equal(resolve("1500", NULL, "3000000001", "3000000002", &who), 0);
	assert_int_equal(who.uid, 1500);
	assert_int_equal(who.groups_len, 0);
	assert_int_equal(resolve(NULL, "1600", "3000000001", "3000000002", &who), 0);
	assert_int_equal(who.uid, 3000000001u);
	assert_int_equal(who.gid, 1600);
	assert_int_equal(who.groups_len, 0);
}

/* An account of this host that has a group beside its own, if there is one. */
static void own_groups_come_along(void **state)
{
	const struct group *group;
	char uid[16], gid[16];
	struct identity who;

	setgrent();
	while ((group = getgrent())) {
		const struct passwd *user = group->gr_mem[0] ? getpwnam(group->gr_mem[0]) : NULL;
		bool found = false;

		if (!user || !user->pw_uid || !user->pw_gid || !group->gr_gid ||
		    group->gr_gid == user->pw_gid)
			continue;
		snprintf(uid, sizeof(uid), "%u", user->pw_uid);
		snprintf(gid, sizeof(gid), "%u", user->pw_gid);
		assert_int_equal(resolve(NULL, NULL, uid, gid, &who), 0);
		for (size_t i = 0; i < who.groups_len; i++)
			found |= who.groups[i] == group->gr_gid;
		assert_true(found);
		endgrent();
		return;
	}
	endgrent();
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken),
		cmocka_unit_test(root_and_nonsense_are_refused),
		cmocka_unit_test(plain_root_becomes_sandbox),
		cmocka_unit_test(sudo_gives_the_user_back),
		cmocka_unit_test(own_groups_come_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
