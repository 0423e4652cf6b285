/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "common/policy_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void canonical(const char *host, enum policy_host_kind kind, const char *text)
{
	char buf[POLICY_HOST_MAX + 1];
	enum policy_host_kind found;
	const char *why = NULL;

	assert_int_equal(policy_host_parse(host, &found, buf, &why), 0);
	assert_int_equal(found, kind);
	assert_string_equal(buf, text);
}

static void hosts_become_canonical(void **state)
{
	canonical("API.GitHub.com", POLICY_HOST_NAME, "api.github.com");
	canonical("*.Example.org", POLICY_HOST_WILDCARD, "*.example.org");
	canonical("10.0.0.1", POLICY_HOST_ADDRESS, "10.0.0.1");
	canonical("::ffff:10.0.0.1", POLICY_HOST_ADDRESS, "10.0.0.1");
	canonical("2001:DB8:0:0::1", POLICY_HOST_ADDRESS, "2001:db8::1");
	canonical("3com", POLICY_HOST_NAME, "3com");
}

static void refusals_say_why(void **state)
{
	static const char *const refused[] = {
		"",
		"*",
		"**",
		"*.com",
		"a.*",
		"1.2.3",
		"0x1",
		"a..b",
		"a.",
		"-a.b",
		"a b",
		"a:1",
		"[::1]",
		"a/b",
		"a*.b.c*.d",
		"a.**.b.c",
		"***.a.b",
		"012.0.0.1",
		"fe80::1%eth0",
		"http://a",
		"\xc3\xbc.de",
		"a?.b.c",
		"*a**.b.c",
		"..",
	};
	char buf[POLICY_HOST_MAX + 1] = "untouched";
	enum policy_host_kind kind;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const char *why = NULL;

		assert_int_equal(policy_host_parse(refused[i], &kind, buf, &why), -EINVAL);
		assert_non_null(why);
		assert_string_equal(buf, "untouched");
	}
}

static void hosts_overlap_by_label(void **state)
{
	size_t steps = 1 << 20;

	assert_int_equal(policy_host_overlap("*.a.org", "x.a.org", &steps), 1);
	assert_int_equal(policy_host_overlap("*.a.org", "x.y.a.org", &steps), 0);
	assert_int_equal(policy_host_overlap("**.a.org", "x.y.a.org", &steps), 1);
	assert_int_equal(policy_host_overlap("**.a.org", "a.org", &steps), 0);
	assert_int_equal(policy_host_overlap("*-x.a.org", "y-*.a.org", &steps), 1);
	assert_int_equal(policy_host_overlap("a.org", "a.org", &steps), 1);
	assert_int_equal(policy_host_overlap("a.org", "b.org", &steps), 0);
}

static void names_match_by_label(void **state)
{
	static const struct {
		const char *host, *name;
		bool match;
	} rows[] = {
		{"api.github.com", "api.github.com", true},
		{"api.github.com", "xapi.github.com", false},
		{"api.github.com", "api.github.com.evil.org", false},
		{"api.github.com", "github.com", false},
		{"*.a.org", "x.a.org", true},
		{"*.a.org", "a.org", false},
		{"*.a.org", "x.y.a.org", false},
		{"*.a.org", "xa.org", false},
		{"**.a.org", "x.a.org", true},
		{"**.a.org", "x.y.z.a.org", true},
		{"**.a.org", "a.org", false},
		{"**.a.org", "xa.org", false},
		{"**.a.org", "x.a.org.b", false},
		{"*-aiplatform.googleapis.com", "eu-west1-aiplatform.googleapis.com", true},
		{"*-aiplatform.googleapis.com", "-aiplatform.googleapis.com", true},
		{"*-aiplatform.googleapis.com", "aiplatform.googleapis.com", false},
		{"*-aiplatform.googleapis.com", "a.b-aiplatform.googleapis.com", false},
		{"a*b*c.x.org", "abc.x.org", true},
		{"a*b*c.x.org", "abxbbcbc.x.org", true},
		{"a*b*c.x.org", "abxbbcbd.x.org", false},
		{"a.*.x.org", "a.b.x.org", true},
		{"a.*.x.org", "a.b.c.x.org", false},
		{"**.*.x.org", "a.b.x.org", true},
		{"**.*.x.org", "a.x.org", false},
		{"**", "a.org", false},
		{"*.a.org", ".a.org", false},
		{"**.a.org", "..a.org", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (policy_host_match(rows[i].host, rows[i].name) != rows[i].match)
			fail_msg("%s and %s", rows[i].host, rows[i].name);
}

static int parse(const char *text, const char *want)
{
	char buf[POLICY_CIDR_TEXT_MAX];
	struct policy_cidr cidr;
	int r = policy_cidr_parse(text, &cidr);

	if (want)
		assert_string_equal(policy_cidr_format(&cidr, false, buf), want);
	return r;
}

static void cidrs_become_canonical(void **state)
{
	assert_int_equal(parse("10.0.0.0/8", "10.0.0.0/8"), 0);
	assert_int_equal(parse("10.0.0.1", "10.0.0.1/32"), 0);
	assert_int_equal(parse("::ffff:10.0.0.0/104", "10.0.0.0/8"), 0);
	assert_int_equal(parse("2001:DB8::/32", "2001:db8::/32"), 0);
	assert_int_equal(parse("10.0.0.1/8", "10.0.0.0/8"), -EDOM);
	assert_int_equal(parse("10.0.0.0/33", NULL), -ERANGE);
	assert_int_equal(parse("2001:db8::/129", NULL), -ERANGE);
	assert_int_equal(parse("10.0.0.0/08", NULL), -EINVAL);
	assert_int_equal(parse("10.0.0.0/", NULL), -EINVAL);
	assert_int_equal(parse("10.0.0.0/8/8", NULL), -EINVAL);
	assert_int_equal(parse("", NULL), -EINVAL);
}

static enum policy_never never(const char *text)
{
	struct policy_cidr cidr;

	assert_int_equal(policy_cidr_parse(text, &cidr), 0);
	return policy_cidr_never(&cidr);
}

static void the_never_list(void **state)
{
	assert_int_equal(never("8.8.8.8"), POLICY_NEVER_NO);
	assert_int_equal(never("10.0.0.0/8"), POLICY_NEVER_NO);
	assert_int_equal(never("fc00::/7"), POLICY_NEVER_NO);
	assert_int_equal(never("2000::/3"), POLICY_NEVER_NO);
	assert_int_equal(never("2002:808::/32"), POLICY_NEVER_NO);
	assert_int_equal(never("2002:7f00:1::/48"), POLICY_NEVER_LOOPBACK);
	assert_true(never("2002::/16"));
	assert_int_equal(never("100.64.0.0/10"), POLICY_NEVER_NO);
	assert_int_equal(never("64:ff9b::808:808"), POLICY_NEVER_NO);
	assert_int_equal(never("64:ff9b::a00:0/104"), POLICY_NEVER_NO);
	assert_int_equal(never("127.255.0.1"), POLICY_NEVER_LOOPBACK);
	assert_int_equal(never("126.0.0.0/7"), POLICY_NEVER_LOOPBACK);
	assert_int_equal(never("::1"), POLICY_NEVER_LOOPBACK);
	assert_int_equal(never("::ffff:127.0.0.1"), POLICY_NEVER_LOOPBACK);
	assert_int_equal(never("64:ff9b::7f00:1"), POLICY_NEVER_LOOPBACK);
	assert_int_equal(never("64:ff9b:1:2::7f00:1"), POLICY_NEVER_LOOPBACK);
	assert_int_equal(never("169.254.169.254"), POLICY_NEVER_METADATA);
	assert_int_equal(never("100.100.100.200"), POLICY_NEVER_METADATA);
	assert_int_equal(never("169.254.7.7"), POLICY_NEVER_LINK_LOCAL);
	assert_int_equal(never("febf::1"), POLICY_NEVER_LINK_LOCAL);
	assert_int_equal(never("224.0.0.1"), POLICY_NEVER_MULTICAST);
	assert_int_equal(never("ff05::2"), POLICY_NEVER_MULTICAST);
	assert_int_equal(never("0.0.0.0"), POLICY_NEVER_UNSPECIFIED);
	assert_int_equal(never("::"), POLICY_NEVER_UNSPECIFIED);
	assert_int_equal(never("255.255.255.255"), POLICY_NEVER_BROADCAST);
	assert_true(never("0.0.0.0/0") && never("::/0") && never("::ffff:0:0/96"));
}

/* What the kernel refuses at connect() is refused when the policy is loaded, and nothing else. */
static void the_kernel_has_the_same_list(void **state)
{
	static const char *const near[] = {
		"0.0.0.0",
		"127.0.0.1",
		"169.254.169.254",
		"224.0.0.1",
		"255.255.255.255",
		"192.0.0.192",
		"100.100.100.200",
		"168.63.129.16",
		"10.0.0.1",
		"172.16.0.1",
		"172.31.255.255",
		"192.168.0.1",
		"100.64.0.1",
		"100.127.255.255",
		"fc00::1",
		"8.8.8.8",
		"::",
		"::1",
		"fe80::1",
		"ff02::1",
		"fd00:ec2::254",
		"fd20:ce::254",
		"64:ff9b::1",
		"64:ff9b:1::1",
		"::ffff:0:127.0.0.1",
		"2002:7f00:1::",
		"2001:db8::1",
		"2002:808:808::",
	};
	unsigned int seed = 1, refused = 0, private = 0;
	uint32_t v4;

	for (size_t i = 0; i < ARRAY_LEN(near); i++) {
		struct policy_cidr cidr;

		assert_int_equal(policy_address_parse(near[i], &cidr), 0);
		/* the address itself, then ones that differ from it in a few bits */
		for (int j = 0; j < 4000; j++) {
			struct policy_cidr other = cidr;
			struct address address;

			for (int k = 0; k < j % 4; k++) {
				seed = seed * 1103515245 + 12345;
				other.address[seed >> 16 & 15] ^= (uint8_t)(1u << (seed >> 24 & 7));
			}
			memcpy(&address, other.address, sizeof(other.address));
			refused += !!address_is_never(&address);
			if (!policy_cidr_never(&other) != !address_is_never(&address))
				fail_msg("the kernel and the policy disagree near %s", near[i]);
			if (policy_cidr_is_private(&other) != !!address_is_private(&address) &&
			    (address_is_ipv4(&address) || !address_carries_ipv4(&address, &v4)))
				fail_msg("not agreed on what is private near %s", near[i]);
			private += policy_cidr_is_private(&other);
		}
	}
	assert_true(refused > 10000);
	assert_true(private > 10000);
}

static void private_networks(void **state)
{
	static const char *const inside[] = {"10.1.2.3", "172.31.0.1", "192.168.0.0/16",
					     "100.127.0.1", "fd00::1"};
	static const char *const outside[] = {"11.0.0.1", "172.32.0.1", "8.0.0.0/5", "2001:db8::1"};
	struct policy_cidr cidr;

	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		assert_int_equal(policy_cidr_parse(inside[i], &cidr), 0);
		assert_true(policy_cidr_is_private(&cidr));
	}
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		assert_int_equal(policy_cidr_parse(outside[i], &cidr), 0);
		assert_false(policy_cidr_is_private(&cidr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_become_canonical),
		cmocka_unit_test(refusals_say_why),
		cmocka_unit_test(hosts_overlap_by_label),
		cmocka_unit_test(names_match_by_label),
		cmocka_unit_test(cidrs_become_canonical),
		cmocka_unit_test(the_never_list),
		cmocka_unit_test(the_kernel_has_the_same_list),
		cmocka_unit_test(private_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
