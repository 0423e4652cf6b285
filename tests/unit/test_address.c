/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"
#include "common/policy_address.h"
#include "common/cleanup.h"
#include "device.h"
#include "option.h"
#include "packet.h"

#include <arpa/inet.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct address of(const char *text)
{
	struct policy_cidr cidr;
	struct address a;

	assert_int_equal(policy_address_parse(text, &cidr), 0);
	memcpy(&a, cidr.address, sizeof(a));
	return a;
}

static const char *const never[] = {
	"0.0.0.0",
	"0.1.2.3",
	"127.0.0.1",
	"127.255.255.255",
	"169.254.0.0",
	"169.254.169.254",
	"169.254.255.255",
	"224.0.0.0",
	"239.255.255.255",
	"255.255.255.255",
	"192.0.0.192",
	"100.100.100.200",
	"168.63.129.16",
	"::",
	"::1",
	"::127.0.0.1",
	"::169.254.169.254",
	"::ffff:0:127.0.0.1",
	"64:ff9b::127.0.0.1",
	"64:ff9b::169.254.169.254",
	"64:ff9b::224.0.0.1",
	"64:ff9b:1::127.0.0.1",
	"64:ff9b:1:2:3:4:169.254.1.1",
	"2002:7f00:1::",
	"2002:a9fe:a9fe:1::5",
	"fe80::",
	"fe80::1",
	"febf:ffff::1",
	"ff02::1",
	"ffff::1",
	"fd00:ec2::254",
	"fd20:ce::254",
};

static const char *const plain[] = {
	"1.0.0.0",	"126.255.255.255",  "128.0.0.0",	 "169.253.255.255",
	"169.255.0.0",	"223.255.255.255",  "240.0.0.1",	 "10.0.0.1",
	"192.168.1.1",	"192.0.0.191",	    "100.100.100.201",	 "168.63.129.17",
	"::2.3.4.5",	"64:ff9b::8.8.8.8", "2002:808:808::1",	 "2001:db8::1",
	"fe7f::1",	"fec0::1",	    "fd00:ec2::253",	 "fd00::1",
	"fd20:ce::255", "feff::1",	    "64:ff9b:2::7f00:1",
};

static void never_list(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		struct address a = of(never[i]);

		if (!address_is_never(&a))
			fail_msg("%s is let through", never[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		struct address a = of(plain[i]);

		if (address_is_never(&a))
			fail_msg("%s is refused", plain[i]);
	}
}

static void mapped_is_the_same_address(void **state)
{
	struct address mapped = of("::ffff:169.254.169.254"), v4 = of("169.254.169.254");
	struct address made = address_of_ipv4(htonl(0xa9fea9fe));

	assert_true(address_equal(&mapped, &v4));
	assert_true(address_equal(&mapped, &made));
	assert_true(address_is_ipv4(&mapped));
	mapped.word[3] ^= 1;
	assert_false(address_equal(&mapped, &v4));
}

/* Only these may be a sandbox's own; what merely translates to them may not. */
static void loopback(void **state)
{
	static const char *const yes[] = {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"};
	static const char *const no[] = {"128.0.0.1",	       "::",	  "::2",
					 "64:ff9b::127.0.0.1", "0.0.0.0", "::127.0.0.1",
					 "2002:7f00:1::"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		struct address a = of(yes[i]);

		assert_true(address_is_loopback(&a));
		assert_true(address_is_never(&a));
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		struct address a = of(no[i]);

		assert_false(address_is_loopback(&a));
	}
}

/* What the compiler refuses in a policy, the kernel refuses at connect(). */
static void kernel_refuses_what_the_compiler_refuses(void **state)
{
	for (uint32_t net = 0; net <= 0xffff; net++) {
		struct address a = address_of_ipv4(htonl(net << 16 | 0x0101));
		struct policy_cidr cidr = {.prefix = 128};

		memcpy(cidr.address, &a, sizeof(a));
		if (policy_cidr_never(&cidr) && !address_is_never(&a))
			fail_msg("%u.%u.1.1", net >> 8, net & 0xff);
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		struct policy_cidr cidr;

		assert_int_equal(policy_address_parse(plain[i], &cidr), 0);
		assert_int_equal(policy_cidr_never(&cidr), POLICY_NEVER_NO);
	}
}

static void packets(void **state)
{
	static const uint8_t v4[] = {0x45, 0, 0, 24, 0, 0, 0, 0, 64, 6,	  0, 0,
				     10,   0, 0, 1,  8, 8, 8, 8, 1,  187, 0, 53};
	uint8_t v6[44] = {0x60, [6] = 17, [8] = 0x20, 1, [24] = 0x20, 2, [40] = 0, 1, 2, 3};
	struct address one = of("10.0.0.1"), eight = of("8.8.8.8"), six = of("2002::");
	struct packet p = {};
	uint8_t other[44];

	assert_true(packet_read(v4, v4 + sizeof(v4), &p));
	assert_true(address_equal(&p.source, &one));
	assert_true(address_equal(&p.target, &eight));
	assert_int_equal(p.source_port, 443);
	assert_int_equal(p.target_port, 53);
	assert_true(packet_read(v6, v6 + sizeof(v6), &p));
	assert_true(address_equal(&p.target, &six));
	assert_int_equal(p.source_port, 1);
	assert_int_equal(p.target_port, 0x203);

	assert_false(packet_read(v4, v4 + 23, &p));
	assert_false(packet_read(v6, v6 + 43, &p));
	memcpy(other, v4, sizeof(v4));
	other[0] = 0x46; /* options: a source route is one */
	assert_false(packet_read(other, other + sizeof(v4), &p));
	other[0] = 0x45;
	other[9] = 1; /* ICMP */
	assert_false(packet_read(other, other + sizeof(v4), &p));
	other[0] = 0x55;
	other[9] = 6;
	assert_false(packet_read(other, other + sizeof(v4), &p));
	memcpy(other, v6, sizeof(v6));
	for (int header = 0; header < 256; header++) {
		other[6] = (uint8_t)header; /* 0, 43, 44, 60: extension headers */
		assert_int_equal(packet_read(other, other + sizeof(other), &p),
				 header == 6 || header == 17);
	}
}

static void options(void **state)
{
	assert_int_equal(option_verdict(IPPROTO_IP, IP_OPTIONS), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IP, IP_TRANSPARENT), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IP, IP_FREEBIND), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IP, IP_TOS), OPTION_FREE);
	assert_int_equal(option_verdict(IPPROTO_IPV6, IPV6_RTHDR), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IPV6, IPV6_RTHDRDSTOPTS), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IPV6, IPV6_HOPOPTS), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IPV6, IPV6_DSTOPTS), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IPV6, IPV6_2292PKTOPTIONS), OPTION_REFUSED);
	assert_int_equal(option_verdict(IPPROTO_IPV6, IPV6_V6ONLY), OPTION_FREE);
	assert_int_equal(option_verdict(SOL_SOCKET, SO_MARK), OPTION_REFUSED);
	assert_int_equal(option_verdict(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF), OPTION_REFUSED);
	assert_int_equal(option_verdict(SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF), OPTION_REFUSED);
	assert_int_equal(option_verdict(SOL_SOCKET, SO_REUSEADDR), OPTION_FREE);
	assert_int_equal(option_verdict(IPPROTO_TCP, 31), OPTION_BY_NAME);
	assert_int_equal(option_verdict(IPPROTO_TCP, 1), OPTION_FREE);
	assert_int_equal(option_verdict(-1, 4), OPTION_FREE);
}

static void devices(void **state)
{
	const uint32_t rw = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

	assert_true(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 1, 3));
	assert_true(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 5, 2));
	assert_true(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 136, 900));
	assert_false(device_is_common(BPF_DEVCG_DEV_CHAR, rw | BPF_DEVCG_ACC_MKNOD, 1, 3));
	assert_false(device_is_common(BPF_DEVCG_DEV_BLOCK, rw, 1, 3));
	assert_false(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 1, 1));  /* mem */
	assert_false(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 1, 4));  /* port */
	assert_false(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 1, 11)); /* kmsg */
	assert_false(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 5, 1));  /* console */
	assert_false(device_is_common(BPF_DEVCG_DEV_CHAR, rw, 144, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_list),
		cmocka_unit_test(mapped_is_the_same_address),
		cmocka_unit_test(loopback),
		cmocka_unit_test(kernel_refuses_what_the_compiler_refuses),
		cmocka_unit_test(packets),
		cmocka_unit_test(options),
		cmocka_unit_test(devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
