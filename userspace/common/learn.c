/* SPDX-License-Identifier: Apache-2.0 */
#include "common/learn.h"

#include "common/cleanup.h"
#include "common/event_grants.h"
#include "common/event_line.h"
#include "common/event_yaml.h"
#include "common/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define NOTES_MAX 32 /* notes in the comment; the rest is a number */
#define NOTE_SIZE 512

struct learn {
	struct learn_options options;
	struct event_yaml_base base;
	struct event_grants grants;
	char note[NOTES_MAX][NOTE_SIZE];
	size_t notes, more_notes;
	uint64_t not_learned;
};

int learn_new(const struct learn_options *options, struct learn **ret_learn, struct error *err)
{
	_cleanup_free_ struct learn *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	l->options = *options;
	r = event_yaml_read(options->base, options->base ? options->base_len : 0, &l->base, err);
	if (r < 0)
		return r;
	*ret_learn = TAKE_PTR(l);
	return 0;
}

void learn_free(struct learn *learn)
{
	if (!learn)
		return;
	event_yaml_base_free(&learn->base);
	event_grants_free(&learn->grants);
	free(learn);
}

/* One line of the comment, once. */
static void note(struct learn *l, const char *what, const char *word)
{
	char line[NOTE_SIZE];
	struct text t;

	text_init(&t, line, sizeof(line));
	text_add(&t, "%s", what);
	if (word)
		text_add_word(&t, word);
	for (size_t i = 0; i < l->notes; i++)
		if (!strcmp(l->note[i], line))
			return;
	if (l->notes == NOTES_MAX) {
		l->more_notes++;
		return;
	}
	memcpy(l->note[l->notes++], line, sizeof(line));
}

static bool is_at_or_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (len == 1)
		return true;
	return !strncmp(path, top, len) && (!path[len] || path[len] == '/');
}

/* Below /proc/<number>: another name in every run, so no line can grant it. */
static bool is_of_a_process(const char *path)
{
	return !strncmp(path, "/proc/", 6) && path[6] >= '0' && path[6] <= '9';
}

static void skip(struct learn *l, const struct event *e, const char *why)
{
	char object[NOTE_SIZE / 2];
	char line[NOTE_SIZE];
	struct text t;

	l->not_learned++;
	text_init(&t, object, sizeof(object));
	event_line_object(e, &t);
	text_init(&t, line, sizeof(line));
	text_add(&t, "still denied: %s: %s (%s)", event_hook_get(e->raw.hook)->act, object, why);
	note(l, line, NULL);
}

static bool is_denied_by_base(const struct learn *l, const char *path)
{
	for (size_t i = 0; i < l->base.denies; i++)
		if (is_at_or_below(path, l->base.deny[i]))
			return true;
	return false;
}

/* A name that no YAML text can hold: its directory has to do. */
static void lift_unwritable(struct learn *l, struct event_remedy *remedy)
{
	while (!event_yaml_can_hold(remedy->path)) {
		char *slash = strrchr(remedy->path, '/');

		if (slash == remedy->path)
			slash++;
		*slash = '\0';
		if (event_yaml_can_hold(remedy->path))
			note(l,
			     "for a name below it that YAML cannot hold, all of: ", remedy->path);
	}
}

static const char *cannot_learn_path(struct learn *l, struct event_remedy *remedy)
{
	if (is_denied_by_base(l, remedy->path))
		return "the base policy's deny";
	if (is_of_a_process(remedy->path))
		return "a process's own files have another name in every run";
	lift_unwritable(l, remedy);
	if (strlen(remedy->path) > POLICY_PATH_BYTES_MAX)
		return "the path is longer than a policy may list";
	if (!strcmp(remedy->path, "/") && remedy->rights & EVENT_GRANT_WRITES)
		return "/ cannot be read_write";
	return NULL;
}

static const char *cannot_learn(struct learn *l, const struct event *e, struct event_remedy *remedy)
{
	switch (remedy->kind) {
	case EVENT_REMEDY_NETWORK:
	case EVENT_REMEDY_NAME:
		if (strpbrk(e->exe, "*?[{") || !event_yaml_can_hold(e->exe))
			return "the program's name would be a pattern";
		return NULL;
	case EVENT_REMEDY_EXEC:
		if (!l->base.exec_allow)
			return "the base has no exec_policy.allow";
		if (strpbrk(remedy->path, "*?[{") || !event_yaml_can_hold(remedy->path))
			return "the program's name would be a pattern";
		return NULL;
	default:
		return cannot_learn_path(l, remedy);
	}
}

void learn_add(struct learn *learn, const struct event *event)
{
	struct event_remedy remedy[EVENT_REMEDIES_MAX];
	const char *why = NULL;
	size_t n;
	int r = 0;

	/* A name that was asked for and never connected to needs no rule. */
	if (event->raw.hook == OS_HOOK_DNS && !event->limited)
		return;
	/*
	 * What of a request is let through is said by `rules`, which are not made up here; no line
	 * says anything about inference.local.
	 */
	if (event_is_request(event))
		return;
	if (!event->decided || (event->action != EVENT_DENIED && event->action != EVENT_AUDIT))
		return;
	n = event_remedies(event, remedy);
	if (!n) {
		skip(learn, event,
		     event->listed_deny ? "the base policy's deny" : "no policy can grant it");
		return;
	}
	for (size_t i = 0; i < n && !why; i++)
		why = cannot_learn(learn, event, &remedy[i]);
	if (why) {
		skip(learn, event, why);
		return;
	}
	for (size_t i = 0; i < n && r >= 0; i++)
		r = event_grants_add_remedy(&learn->grants, event, &remedy[i]);
	if (r < 0)
		skip(learn, event, "too many different ones");
}

/* A directory that was only looked at needs no line if a listed path is below it. */
static void drop_transit(struct event_grants *g)
{
	size_t out = 0;

	for (size_t i = 0; i < g->paths; i++) {
		struct event_grant_path *p = &g->path[i];
		bool below = false;

		for (size_t j = i + 1; j < g->paths && !below; j++) {
			if (strncmp(g->path[j].path, p->path, strlen(p->path)))
				break;
			below = is_at_or_below(g->path[j].path, p->path);
		}
		if (!p->base && p->rights == OS_RIGHT_STAT && below)
			free(p->path);
		else
			g->path[out++] = *p;
	}
	g->paths = out;
}

static bool is_directory(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (root_fd < 0)
		return false;
	fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void note_directories(struct learn *l, const struct event_grants *before)
{
	for (size_t i = 0; i < l->grants.paths; i++) {
		const struct event_grant_path *p = &l->grants.path[i];

		if (p->base || p->rights & EVENT_GRANT_WRITES)
			continue;
		if (!event_grants_at(before, p->path))
			note(l, "read_only for many paths below it: ", p->path);
		else if (is_directory(l->options.root_fd, p->path))
			note(l, "only listed or looked at, but a line for it opens what is below: ",
			     p->path);
	}
}

static int copy_paths(const struct event_grants *from, struct event_grants *to)
{
	for (size_t i = 0; i < from->paths; i++) {
		int r = event_grants_add_path(to, from->path[i].path, from->path[i].rights,
					      from->path[i].base);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Lay what was learned over the base's paths, and bring it down to what a policy may list. */
static int settle(struct learn *l, struct error *err)
{
	_cleanup_(event_grants_free) struct event_grants before = {0};
	size_t base = l->base.paths.paths;
	int r;

	r = copy_paths(&l->base.paths, &l->grants);
	/* The agent's own directory is read_write without a line: a base line that is not written.
	 */
	if (r >= 0 && l->base.include_workdir && l->options.workdir)
		r = event_grants_add_path(&l->grants, l->options.workdir, OS_RIGHTS_WRITE, true);
	if (r >= 0) {
		drop_transit(&l->grants);
		event_grants_prune(&l->grants);
		r = copy_paths(&l->grants, &before);
	}
	if (r >= 0)
		r = event_grants_collapse(&l->grants, LEARN_CROWD,
					  base < LEARN_PATHS_MAX ? LEARN_PATHS_MAX - base : 0);
	if (r == -E2BIG)
		return error_set(err, r, "the run used more paths than a policy may list (%d)",
				 LEARN_PATHS_MAX);
	if (r < 0)
		return error_set(err, r, "%s", strerror(-r));
	note_directories(l, &before);
	return 0;
}

/* The working directory's entry was for the merge only, unless the base lists it too. */
static void forget_workdir(struct learn *l)
{
	struct event_grant_path *entry;

	if (!l->base.include_workdir || !l->options.workdir)
		return;
	if (event_grants_at(&l->base.paths, l->options.workdir))
		return;
	entry = event_grants_at(&l->grants, l->options.workdir);
	if (!entry)
		return;
	free(entry->path);
	memmove(entry, entry + 1,
		(size_t)(l->grants.path + l->grants.paths - (entry + 1)) * sizeof(*entry));
	l->grants.paths--;
}

static void print_comment(const struct learn *l, FILE *out)
{
	char buf[NOTE_SIZE];
	struct timespec now;
	struct text t;

	clock_gettime(CLOCK_REALTIME, &now);
	text_init(&t, buf, sizeof(buf));
	text_add_time(&t, (uint64_t)now.tv_sec * 1000000000u);
	fprintf(out, "# Made by `openshell run --learn` at %s from one run", buf);
	if (l->options.program) {
		text_init(&t, buf, sizeof(buf));
		text_add_word(&t, l->options.program);
		fprintf(out, " of %s", buf);
	}
	text_init(&t, buf, sizeof(buf));
	if (l->options.base_name)
		text_add_word(&t, l->options.base_name);
	else
		text_add(&t, "the default policy");
	fprintf(out,
		",\n# on top of %s. Read it before you rely on it: it allows what that run "
		"did, good or bad.\n",
		buf);
	for (size_t i = 0; i < l->notes; i++)
		fprintf(out, "# - %s\n", l->note[i]);
	if (l->more_notes)
		fprintf(out, "# - and %zu more notes\n", l->more_notes);
}

/* Write @text beside @path and put it in its place. */
static int replace_file(const struct learn *l, const char *path, const char *text, size_t len,
			struct error *err)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_fclose_ FILE *out = NULL;
	int fd, r = 0;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "creating %s: %m", temporary);
	out = fdopen(fd, "w");
	if (!out) {
		r = -errno;
		close(fd);
		unlink(temporary);
		return error_set(err, r, "%s", strerror(-r));
	}
	print_comment(l, out);
	fwrite(text, 1, len, out);
	if (fflush(out) != 0 || ferror(out) || fchmod(fd, 0644) < 0 || fsync(fd) < 0 ||
	    rename(temporary, path) < 0) {
		r = errno ? -errno : -EIO;
		unlink(temporary);
		return error_set(err, r, "writing %s: %s", path, strerror(-r));
	}
	return 0;
}

static void drop_endpoint(void *arg, const struct event_grant_endpoint *e)
{
	struct learn *l = arg;
	char line[NOTE_SIZE];
	struct text t;

	l->not_learned++;
	text_init(&t, line, sizeof(line));
	text_add(&t, "still denied: connecting: ");
	text_add_word(&t, e->host);
	text_add(&t, ":%u by ", e->port);
	text_add_word(&t, e->exe);
	text_add(&t, " (it contradicts the base's rules)");
	note(l, line, NULL);
}

int learn_write(struct learn *learn, const char *path, struct learn_result *ret_result,
		struct error *err)
{
	_cleanup_free_ char *text = NULL;
	const struct event_yaml_sink sink = {.dropped = drop_endpoint, .arg = learn};
	struct learn_result result = {0};
	size_t len = 0;
	int r;

	r = settle(learn, err);
	if (r < 0)
		return r;
	forget_workdir(learn);
	r = event_yaml_merge_valid(learn->options.base,
				   learn->options.base ? learn->options.base_len : 0,
				   &learn->grants, &sink, &text, &len, err);
	if (r < 0)
		return r;
	r = replace_file(learn, path, text, len, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < learn->grants.paths; i++)
		result.paths += !learn->grants.path[i].base;
	result.programs = learn->grants.programs;
	result.endpoints = learn->grants.endpoints;
	result.not_learned = learn->not_learned;
	*ret_result = result;
	return 0;
}
