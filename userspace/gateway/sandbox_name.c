/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sandbox_name.h"

#include "common/cleanup.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

static const char *const first[] = {
	"amber", "ample",  "apt",    "brave", "brisk", "calm",	 "civil",  "clear", "crisp",
	"deft",	 "eager",  "early",  "fair",  "fleet", "fond",	 "frank",  "fresh", "gentle",
	"glad",	 "grand",  "hardy",  "ideal", "jolly", "keen",	 "kind",   "light", "lively",
	"loyal", "lucid",  "mellow", "merry", "mild",  "neat",	 "nimble", "noble", "novel",
	"plain", "polite", "prime",  "proud", "quick", "quiet",	 "rapid",  "ready", "royal",
	"sharp", "sleek",  "smart",  "solid", "spry",  "steady", "still",  "sunny", "swift",
	"tidy",	 "true",   "vivid",  "warm",  "wise",  "witty",
};

static const char *const second[] = {
	"acorn",  "aspen",   "badger", "beacon",  "birch",   "bison",  "brook",	 "cedar",  "cliff",
	"cloud",  "comet",   "coral",  "crane",	  "creek",   "delta",  "dune",	 "ember",  "falcon",
	"fern",	  "finch",   "fjord",  "forest",  "garnet",  "glade",  "grove",	 "harbor", "hazel",
	"heron",  "island",  "jasper", "lagoon",  "lark",    "linden", "lynx",	 "maple",  "marsh",
	"meadow", "mesa",    "moss",   "oasis",	  "ocean",   "onyx",   "orchid", "osprey", "otter",
	"pebble", "pine",    "plover", "prairie", "quartz",  "raven",  "reef",	 "ridge",  "river",
	"robin",  "sparrow", "spruce", "summit",  "thicket", "willow",
};

void sandbox_name_make(char ret_name[SANDBOX_NAME_SIZE])
{
	uint16_t n[2] = {};

	/* A name may repeat: then another one is made. */
	(void)!getrandom(n, sizeof(n), 0);
	snprintf(ret_name, SANDBOX_NAME_SIZE, "%s-%s", first[n[0] % ARRAY_LEN(first)],
		 second[n[1] % ARRAY_LEN(second)]);
}
