/* SPDX-License-Identifier: Apache-2.0 */
#include "common/summary.h"

#include "common/cleanup.h"
#include "common/event_grants.h"
#include "common/event_line.h"
#include "common/event_update.h"
#include "common/event_yaml.h"
#include "common/summary_inference.h"

#include <inttypes.h>
#include <search.h>
#include <string.h>

#define OBJECT_SIZE 512 /* of a line's object; a longer one is cut */
#define GRANT_LINES 64	/* policy lines printed */
#define ADVICE_MAX  8	/* sentences about what no policy can allow */

struct denial {
	enum event_class class;
	enum event_action action;
	char *object; /* as printed: escaped path and rights, address and port ... */
	/* Escaped. Of the network part of what is compared; else of the first, "" of several. */
	char *exe;
	uint64_t count;
};

struct summary {
	void *tree; /* of struct denial */
	size_t kinds;
	uint64_t denied, audited, unlisted, ungrantable;
	uint64_t requests;   /* that an endpoint's rules do not let through */
	uint64_t root;	     /* about "/" itself */
	uint64_t inferences; /* that were refused */
	struct summary_inference inference;
	bool grants_full;
	struct event_grants grants;
	char sandbox[EVENT_NAME_SIZE];
	char *advice[ADVICE_MAX]; /* distinct */
	size_t advices, more_advice;
};

struct summary *summary_new(void)
{
	return calloc(1, sizeof(struct summary));
}

static void denial_free(void *p)
{
	struct denial *d = p;

	free(d->object);
	free(d->exe);
	free(d);
}

void summary_free(struct summary *summary)
{
	if (!summary)
		return;
	tdestroy(summary->tree, denial_free);
	event_grants_free(&summary->grants);
	for (size_t i = 0; i < summary->advices; i++)
		free(summary->advice[i]);
	free(summary);
}

/* Of a connection it matters who wanted it: a rule names both. */
static bool is_network(enum event_class class)
{
	return class == EVENT_CLASS_NET || class == EVENT_CLASS_DNS || class == EVENT_CLASS_HTTP ||
	       class == EVENT_CLASS_API;
}

static int compare_denial(const void *a, const void *b)
{
	const struct denial *x = a, *y = b;
	int c;

	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	if (x->action != y->action)
		return x->action < y->action ? -1 : 1;
	c = strcmp(x->object, y->object);
	return c || !is_network(x->class) ? c : strcmp(x->exe, y->exe);
}

static void describe(const struct event *e, struct text *t)
{
	/* Whether A or AAAA was asked for is the C library's choice. */
	if (e->limited)
		text_add(t, "new names, too many in a short time");
	else if (e->raw.hook == OS_HOOK_DNS)
		text_add_word(t, e->host);
	else
		event_line_object(e, t);
	/* A rule does not tell TCP from UDP, with which getaddrinfo() tries each address first. */
	if (!event_is_request(e) && e->raw.kind == OS_EVENT_NET && e->raw.port && !t->cut &&
	    strncmp(t->buf, "socket ", 7) != 0) {
		t->len = strcspn(t->buf, " ");
		t->buf[t->len] = '\0';
	}
	if (t->cut && t->len >= 3)
		memcpy(t->buf + t->len - 3, "...", 3);
}

static void count_kind(struct summary *s, const struct event *e, uint64_t times)
{
	char object[OBJECT_SIZE], exe[OBJECT_SIZE];
	struct denial key = {.class = e->class, .action = e->action, .object = object, .exe = exe};
	struct denial **found, *new;
	struct text t;

	text_init(&t, object, sizeof(object));
	describe(e, &t);
	text_init(&t, exe, sizeof(exe));
	text_add_word(&t, e->exe[0] ? e->exe : e->raw.comm);
	found = tfind(&key, &s->tree, compare_denial);
	if (found) {
		(*found)->count += times;
		if (strcmp((*found)->exe, exe))
			(*found)->exe[0] = '\0';
		return;
	}
	if (s->kinds == SUMMARY_KINDS_MAX) {
		s->unlisted += times;
		return;
	}
	new = calloc(1, sizeof(*new));
	if (new) {
		*new = key;
		new->count = times;
		new->object = strdup(object);
		new->exe = strdup(exe);
	}
	if (!new || !new->object || !new->exe || !tsearch(new, &s->tree, compare_denial)) {
		if (new)
			denial_free(new);
		s->unlisted += times;
		return;
	}
	s->kinds++;
}

/* What to do about a denial of the network that no line in the policy helps against. */
static void advise(struct summary *s, const struct event *e)
{
	if (!is_network(e->class) && !e->limited)
		return;
	for (size_t i = 0; i < s->advices; i++)
		if (!strcmp(s->advice[i], e->reason))
			return;
	if (s->advices == ADVICE_MAX || !(s->advice[s->advices] = strdup(e->reason)))
		s->more_advice++;
	else
		s->advices++;
}

void summary_add(struct summary *summary, const struct event *event)
{
	uint64_t times = event->repeated ? event->repeated : 1;
	int r;

	if (event->decided && event->class == EVENT_CLASS_API)
		summary_inference_add(&summary->inference, event);
	if (!event->decided || (event->action != EVENT_DENIED && event->action != EVENT_AUDIT))
		return;
	if (event->action == EVENT_DENIED)
		summary->denied += times;
	else
		summary->audited += times;
	count_kind(summary, event, times);
	if (!summary->sandbox[0])
		snprintf(summary->sandbox, sizeof(summary->sandbox), "%s", event->sandbox);
	if (event->class == EVENT_CLASS_HTTP) {
		summary->requests += times;
		return;
	}
	if (event->class == EVENT_CLASS_API) {
		summary->inferences += times;
		return;
	}
	/* A line for "/" would grant every file there is, for having looked at one directory. */
	if (event->path_state == EVENT_PATH_FULL && !strcmp(event->path, "/")) {
		summary->root++;
		return;
	}
	r = event_grants_add(&summary->grants, event);
	if (r == 0) {
		summary->ungrantable++;
		advise(summary, event);
	} else if (r < 0) {
		summary->grants_full = true;
	}
}

uint64_t summary_denied(const struct summary *summary)
{
	return summary->denied;
}

uint64_t summary_audited(const struct summary *summary)
{
	return summary->audited;
}

struct listing {
	const struct denial *denial[SUMMARY_KINDS_MAX];
	size_t len;
};

static void list_denial(const void *node, VISIT visit, void *arg)
{
	struct listing *listing = arg;

	if (visit == postorder || visit == leaf)
		listing->denial[listing->len++] = *(const struct denial *const *)node;
}

/* Most frequent first; otherwise in the tree's order. */
static int compare_count(const void *a, const void *b)
{
	const struct denial *x = *(const struct denial *const *)a;
	const struct denial *y = *(const struct denial *const *)b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return compare_denial(x, y);
}

static void print_denials(const struct summary *s, FILE *out)
{
	_cleanup_free_ struct listing *listing = calloc(1, sizeof(*listing));
	uint64_t rest = s->unlisted;

	if (!listing)
		return;
	twalk_r(s->tree, list_denial, listing);
	qsort(listing->denial, listing->len, sizeof(listing->denial[0]), compare_count);
	for (size_t i = 0; i < listing->len; i++) {
		const struct denial *d = listing->denial[i];

		if (i >= SUMMARY_LINES_MAX) {
			rest += d->count;
			continue;
		}
		fprintf(out, "  %6" PRIu64 " x %-7s %s  by %s\n", d->count,
			event_class_label(d->class), d->object,
			d->exe[0] ? d->exe : "several programs");
	}
	if (rest)
		fprintf(out, "  and %" PRIu64 " more\n", rest);
}

static void print_updates(const struct summary *s, FILE *out)
{
	_cleanup_free_ char *text = NULL;
	size_t len, n = 0;
	FILE *lines = open_memstream(&text, &len);

	if (!lines)
		return;
	n = event_update_print(&s->grants, s->sandbox, GRANT_LINES, lines);
	if (!fclose(lines) && n)
		fprintf(out, "The network part of it, for a sandbox that is running:\n%s", text);
}

static void print_advice(const struct summary *s, FILE *out)
{
	for (size_t i = 0; i < s->advices; i++)
		fprintf(out, "  - %s\n", s->advice[i]);
	if (s->more_advice)
		fprintf(out, "  - and %zu more\n", s->more_advice);
}

static void print_grants(struct summary *s, FILE *out)
{
	struct event_grants *g = &s->grants;
	size_t lines = g->paths + g->programs + g->endpoints;
	bool merged = g->paths > GRANT_LINES;

	if (!lines)
		return;
	if (event_grants_collapse(g, 0, GRANT_LINES) < 0)
		merged = true;
	fprintf(out, "These lines in the policy would allow %s:\n",
		s->ungrantable || s->root ? "what a policy can allow of it" : "it");
	event_yaml_print(g, GRANT_LINES, out);
	if (merged || s->grants_full)
		fprintf(out, "  # directories stand for their files; `openshell run --learn "
			     "OUT.yaml` gathers every path\n");
	if (g->endpoints)
		print_updates(s, out);
}

static void print_losses(const struct summary_losses *l, FILE *out)
{
	const struct {
		uint64_t number;
		const char *what;
	} rows[] = {
		{l->dropped, "events were dropped: the agent made them faster than they were read"},
		{l->undecoded, "events could not be decoded"},
		{l->lost, "events could not be written to the log"},
		{l->helper_failed, "times a kernel helper failed where it should not"},
		{l->proc_full, "processes got no identity and match no network rule"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].number)
			fprintf(out, "openshell: WARNING: %" PRIu64 " %s\n", rows[i].number,
				rows[i].what);
}

void summary_print(struct summary *summary, const struct summary_losses *losses, FILE *out)
{
	uint64_t total = summary->denied + summary->audited;

	if (summary->denied)
		fprintf(out, "openshell: %" PRIu64 " denied\n", summary->denied);
	if (summary->audited)
		fprintf(out, "openshell: %" PRIu64 " would have been denied (audit mode)\n",
			summary->audited);
	if (total) {
		print_denials(summary, out);
		print_grants(summary, out);
		if (summary->requests)
			fprintf(out,
				"%" PRIu64 " of them are requests that the rules of their endpoint "
				"do not let through: its `access`, `rules` and `deny_rules` say "
				"what is; the log has the reason of each.\n",
				summary->requests);
		if (summary->inferences)
			fprintf(out,
				"%" PRIu64 " of them are requests to inference.local, of which a "
				"policy says nothing; the log has the reason of each.\n",
				summary->inferences);
		if (summary->ungrantable)
			fprintf(out,
				"%" PRIu64 " of them no policy can allow, or the policy "
				"forbids them by name%s\n",
				summary->ungrantable,
				summary->advices ? ", or it is as follows:" : ".");
		print_advice(summary, out);
		if (summary->root)
			fprintf(out,
				"%" PRIu64 " of them are about / itself; listing it would open the "
				"whole host, so there is no line for it.\n",
				summary->root);
	}
	summary_inference_print(&summary->inference, out);
	if (losses)
		print_losses(losses, out);
}
