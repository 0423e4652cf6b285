/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of names.h share. names.c: policies come and go; names_answer.c: questions and
 * what is found; names_where.c: where the supervisor connects to; names_publish.c: what of this is
 * in the kernel's maps.
 *
 * A name's life: numbered (by the policy that spells it out, or by the first question), looked up,
 * validated, published, looked up again. What is published is always what names_admit() says to the
 * name's last addresses under the policy that is asked; nothing else is remembered about it.
 */
#pragma once

#include "supervisor/names.h"
#include "supervisor/names_index.h"
#include "supervisor/names_maps.h"
#include "supervisor/names_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND UINT64_C(1000000000)
/* What a new name under a wildcard takes from the bucket, ns. */
#define WILDCARD_COST (SECOND / NAMES_WILDCARD_RATE)

struct names {
	const struct kernel *kernel;
	uint32_t slot;
	bool audit;
	struct names_index index;
	struct names_table table;
	struct names_keys now, before; /* in the maps: of this generation, and of the one before */
	struct names_ports ports;      /* of the name that is looked at */
	uint64_t credit, credited;     /* of the bucket, ns, and when it was filled last */
	size_t due;		       /* where names_due() goes on */
	void (*forbidden)(void *arg, const char *sentence);
	void *arg;
	size_t told; /* sentences about this policy */
};

extern const struct names_addresses names_no_addresses;

/*
 * True for inference.local, which is nowhere but in the proxy: it has a synthetic address where the
 * policy has its endpoint, and is looked up for nobody, audit mode included.
 */
bool names_is_ours(const char *text);

/* Its last addresses; none is not NULL. */
const struct names_addresses *names_addresses_of(const struct name *name);
struct names_maps names_maps_of(const struct names *names, uint32_t generation);

/*
 * Note what a name's entries will be, so that they are taken out. Here and below names->ports has
 * the name's ports. -ENOMEM.
 */
int names_publish_keys(struct names *names, struct names_keys *keys, const struct name *name);

/* Write a name's ports, which have no entries in that generation yet. -ENOSPC */
int names_publish_enter(struct names *names, const struct names_index *index, uint32_t generation,
			const struct name *name);

/*
 * The name's addresses were @earlier and are others now. A rule that admitted the former may not
 * admit the latter: it goes first, and until no program can have seen it in force the new addresses
 * wait, since the kernel reads who may connect before where to. -ENOSPC
 */
int names_publish_replace(struct names *names, const struct name *name,
			  const struct names_addresses *earlier);

/*
 * Take the addresses away: nothing of them is published any more. By the keys, which cannot fail;
 * names->ports is not looked at.
 */
void names_publish_withdraw(struct names *names, struct name *name);
