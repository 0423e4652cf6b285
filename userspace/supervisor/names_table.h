/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a sandbox has had, by text and by number. A number is given once and never to
 * another name. Owned by one struct names; one thread.
 */
#pragma once

#include "supervisor/names_admit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum names_status {
	NAMES_UNKNOWN = 0, /* never looked up */
	NAMES_FOUND,
	NAMES_NONE,   /* it does not exist */
	NAMES_FAILED, /* nobody could say, or it has forbidden addresses only */
};

struct name {
	char *text;
	uint32_t number; /* 1.. */
	uint32_t next;	 /* number of the next one in its bucket, 0 = last */
	uint8_t length;
	bool admitted; /* by the policy that is asked now, or by audit mode */
	bool wildcard; /* it was numbered because somebody asked for it */
	bool entered;  /* its keys are among those of the generation */
	bool told;     /* that it has forbidden addresses under this policy */
	enum names_status status;
	struct names_addresses *addresses; /* that were found last, NULL = none */
	uint64_t fresh;	 /* CLOCK_BOOTTIME ns: until then the status is answered */
	uint64_t expiry; /* what os_name has */
	uint64_t check;	 /* not looked at before for names_due() */
	uint64_t used;	 /* by names_where(), last */
	uint32_t turn;	 /* of addresses, for names_where() */
};

struct names_table {
	struct name *name; /* [number - 1] */
	size_t len, cap;
	uint32_t *bucket; /* number of the first, 0 = none; a power of two of them */
	size_t buckets;
	size_t wildcards; /* names that have `wildcard` */
};

/* NULL if there is none. Pointers are valid until the next names_table_add(). */
struct name *names_table_find(const struct names_table *table, const char *text, size_t length);
struct name *names_table_at(const struct names_table *table, uint32_t number);

/* Number a name that is not there yet. -E2BIG at @max names, -ENOMEM. */
int names_table_add(struct names_table *table, const char *text, size_t length, size_t max,
		    struct name **ret_name);

/* Take back the newest names, until @len are left: nobody can have heard of them. */
void names_table_cut(struct names_table *table, size_t len);

void names_table_free(struct names_table *table);
