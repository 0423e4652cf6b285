/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/binaries.h"

#include "common/cleanup.h"
#include "common/policy_proxied.h"
#include "endpoint.h"
#include "bpf/include/identity.h"
#include "supervisor/binaries_internal.h"
#include "supervisor/egress_binaries.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#define PB(name) Openshell__Compiled__V1__##name

/* A file's ctime is compared at most so often: who is denied may try as fast as it likes. */
#define CHECK_NS UINT64_C(20000000)
/* Where the ctime says nothing, it is read whole each time. */
#define SILENT_NS UINT64_C(200000000)

static const struct os_rule_mask no_rules;

static void found_cleanup(struct egress_binaries *found)
{
	egress_binaries_free(found);
}

static void policy_free(struct binaries_policy *policy)
{
	binaries_globs_free(&policy->globs);
	*policy = (struct binaries_policy){};
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool has_rules(const struct os_binary *binary)
{
	return endpoint_mask_meets(&binary->rules, &binary->rules);
}

static struct os_binary_key key_of(const struct binaries *b, const struct os_file_id *file)
{
	return (struct os_binary_key){
		.slot = b->options.slot, .generation = b->current.generation, .file = *file};
}

static bool find_entry(const struct binaries *b, const struct os_file_id *file,
		       struct os_binary *ret_entry)
{
	struct os_binary_key key = key_of(b, file);

	return !bpf_map_lookup_elem(b->options.kernel->maps.binary, &key, ret_entry);
}

static int put_entry(struct binaries *b, const struct os_file_id *file,
		     const struct os_binary *entry)
{
	struct os_binary_key key = key_of(b, file);

	return bpf_map_update_elem(b->options.kernel->maps.binary, &key, entry, BPF_ANY);
}

/* The oldest file is forgotten: who has rules keeps them, the others may be asked about again. */
static void forget(void *arg, struct binaries_file *file)
{
	struct binaries *b = arg;
	struct os_binary_key key = key_of(b, &file->file);
	struct os_binary entry;

	if (!file->published || file->generation != b->current.generation)
		return;
	if (!find_entry(b, &file->file, &entry) || has_rules(&entry))
		return;
	if (!bpf_map_delete_elem(b->options.kernel->maps.binary, &key))
		b->published--;
}

int binaries_new(const struct binaries_options *options, struct binaries **ret_binaries,
		 struct error *err)
{
	static const struct binaries_hash_limits limits = {.bytes = BINARIES_HASH_BYTES,
							   .ms = BINARIES_HASH_MS};
	struct binaries *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return error_set(err, -ENOMEM, "out of memory");
	b->options = *options;
	b->table.forget = forget;
	b->table.arg = b;
	r = binaries_hash_new(options->kernel, &limits, &b->hash);
	if (r) {
		free(b);
		return error_set(err, r, "cannot prepare for SHA-256 of binaries: %s",
				 strerror(-r));
	}
	*ret_binaries = b;
	return 0;
}

void binaries_free(struct binaries *b)
{
	if (!b)
		return;
	binaries_hash_free(b->hash);
	binaries_table_free(&b->table);
	policy_free(&b->current);
	policy_free(&b->next);
	free(b);
}

/* Times at which a content was seen */

static bool knows_time(const struct binaries_file *known, uint64_t time)
{
	for (size_t i = 0; i < OS_BINARY_TIMES; i++)
		if (known->times[i] == time)
			return true;
	return false;
}

static void add_time(uint64_t *times, size_t *n, uint64_t time)
{
	for (size_t i = 0; i < *n; i++)
		if (times[i] == time)
			return;
	if (time && *n < OS_BINARY_TIMES)
		times[(*n)++] = time;
}

/* At all of these times the content was the same: both lists get as many as fit, newest first. */
static void merge_times(uint64_t newest, __u64 *entry, uint64_t *known)
{
	uint64_t times[OS_BINARY_TIMES] = {};
	size_t n = 0;

	add_time(times, &n, newest);
	for (size_t i = 0; i < OS_BINARY_TIMES; i++)
		add_time(times, &n, known[i]);
	for (size_t i = 0; i < OS_BINARY_TIMES; i++)
		add_time(times, &n, entry[i]);
	for (size_t i = 0; i < OS_BINARY_TIMES; i++)
		entry[i] = known[i] = times[i];
}

/* Loading */

/* Without an endpoint that somebody is admitted to, nobody asks who connects. */
static bool has_endpoints(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (!policy_is_hidden(policy, policy->endpoints[i]))
			return true;
	return false;
}

static bool names_binaries(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_binary_sets; i++)
		if (policy->binary_sets[i]->n_exact || policy->binary_sets[i]->n_globs)
			return true;
	return false;
}

/* A content that was seen before is known by all the times that it had. */
static void recall_times(struct binaries *b, const struct os_file_id *file, struct os_binary *entry)
{
	struct binaries_file *known = binaries_table_find(&b->table, file);

	if (known && known->remembered && knows_time(known, entry->changed[0]))
		merge_times(entry->changed[0], entry->changed, known->times);
}

bool binaries_asked(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *endpoint = policy->endpoints[i];

		if (!policy_is_hidden(policy, endpoint) &&
		    endpoint->binary_set < policy->n_binary_sets &&
		    policy->binary_sets[endpoint->binary_set]->n_globs)
			return true;
	}
	return false;
}

static int write_found(struct binaries *b, uint32_t generation, const struct egress_binaries *found,
		       struct error *err)
{
	for (size_t i = 0; i < found->len; i++) {
		struct os_binary_key key = {.slot = b->options.slot,
					    .generation = generation,
					    .file = found->binary[i].file};
		struct os_binary entry = {.rules = found->binary[i].rules,
					  .changed = {found->binary[i].changed}};
		int r;

		recall_times(b, &key.file, &entry);
		r = bpf_map_update_elem(b->options.kernel->maps.binary, &key, &entry, BPF_ANY);
		if (r == -E2BIG)
			return error_set(err, -ENOSPC,
					 "map os_binary takes no more entries: fewer binaries per "
					 "policy, or fewer sandboxes on this host");
		if (r)
			return error_set(err, r, "cannot write to map os_binary: %s", strerror(-r));
	}
	return 0;
}

int binaries_write(struct binaries *b, uint32_t generation, const PB(CompiledPolicy) * policy,
		   struct binaries_report *ret_report, struct error *err)
{
	_cleanup_(found_cleanup) struct egress_binaries found = {};
	struct binaries_policy next = {.generation = generation};
	int r;

	if (has_endpoints(policy)) {
		next.named = names_binaries(policy);
		r = egress_binaries_build(b->options.kernel, policy, b->options.root_fd, &found,
					  err);
		if (!r)
			r = write_found(b, generation, &found, err);
		if (!r)
			r = binaries_globs_build(policy, b->options.root_fd, &next.globs, err);
		if (r)
			return r;
	}
	policy_free(&b->next);
	b->next = next;
	if (ret_report)
		*ret_report = (struct binaries_report){.entries = found.len,
						       .missing = found.missing,
						       .truncated = found.truncated};
	return 0;
}

bool binaries_sync(struct binaries *b)
{
	const struct os_policy *policy = &b->options.kernel->policy[b->options.slot];
	uint32_t generation = __atomic_load_n(&policy->generation, __ATOMIC_RELAXED);

	if (b->next.generation && b->next.generation == generation) {
		policy_free(&b->current);
		b->current = b->next;
		b->next = (struct binaries_policy){};
		b->published = 0;
	}
	return b->current.generation == generation && b->current.named;
}

/* Looking at files */

/* A descriptor (O_PATH) of what is at @path in the sandbox, if that is @file. -ESTALE if not. */
static int open_file(const struct binaries *b, const struct os_file_id *file, const char *path,
		     struct os_image *ret_image)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	_cleanup_close_ int fd = -1;
	uint32_t mode;
	int r;

	if (!path || path[0] != '/')
		return -ENOENT;
	fd = (int)syscall(SYS_openat2, b->options.root_fd, path, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	r = egress_identify(b->options.kernel, fd, ret_image, &mode);
	if (r)
		return r;
	if (!S_ISREG(mode) || !identity_file_equal(&ret_image->file, file))
		return -ESTALE;
	return TAKE_FD(fd);
}

/* The same by a process that executes it, where it has no name any more. */
static int open_running(const struct binaries *b, const struct os_file_id *file, uint32_t pid,
			struct os_image *ret_image)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = egress_identify(b->options.kernel, fd, ret_image, NULL);
	if (r)
		return r;
	return identity_file_equal(&ret_image->file, file) ? TAKE_FD(fd) : -ESTALE;
}

static bool covers(const struct os_rule_mask *all, const struct os_rule_mask *some)
{
	uint64_t more = 0;

	for (size_t i = 0; i < OS_RULE_WORDS; i++)
		more |= some->word[i] & ~all->word[i];
	return !more;
}

void binaries_look(struct binaries *b, const struct os_file_id *file, const char *path)
{
	struct binaries_file *known = binaries_table_use(&b->table, file, b->current.generation);
	struct os_image image = {.file = *file, .changed = 1};
	struct os_rule_mask rules = no_rules;
	_cleanup_close_ int fd = -1;
	struct os_binary entry;
	bool exists;

	if (!known)
		return;
	if (path && binaries_file_at(known, path))
		known->looked = false;
	if (known->looked)
		return;
	if (path)
		rules = binaries_globs_match(&b->current.globs, path);
	exists = find_entry(b, file, &entry);
	if (endpoint_mask_meets(&rules, &rules) && !(exists && covers(&entry.rules, &rules))) {
		fd = open_file(b, file, path, &image);
		if (fd < 0)
			rules = no_rules;
	}
	if (exists && covers(&entry.rules, &rules)) {
		known->looked = true;
		return;
	}
	if (exists && has_rules(&entry)) {
		/* Two rules' names for one file. A content that is not the known one gets no more.
		 */
		if (!endpoint_same_content(&entry, image.changed))
			return;
		endpoint_mask_add(&entry.rules, &rules);
	} else {
		if (!exists && b->published == BINARIES_LOOKED_MAX)
			return;
		entry = (struct os_binary){.rules = rules, .changed = {image.changed}};
	}
	if (put_entry(b, file, &entry))
		return;
	known->looked = true;
	b->published += !exists;
	known->published |= !exists;
}

/* Use and change */

bool binaries_process(const struct binaries *b, uint32_t pid, uint64_t start_time,
		      struct os_proc *ret_proc)
{
	return !bpf_map_lookup_elem(b->options.kernel->maps.proc, &pid, ret_proc) &&
	       ret_proc->slot == b->options.slot && ret_proc->start_time == start_time;
}

/* File systems in memory learn nothing of what is stored through a mapping that was read first. */
static bool is_silent(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
	       fs.f_type == HUGETLBFS_MAGIC;
}

/* Takes @fd. */
static void submit(struct binaries *b, struct binaries_file *known, int fd, bool comparing)
{
	known->silent = is_silent(fd);
	known->comparing = comparing;
	known->hashing = !binaries_hash_submit(b->hash, &known->file, known->generation, fd);
}

/* Whether the content that the load found is one whose SHA-256 is remembered. */
static void recall_content(struct binaries_file *known, const struct os_binary *entry)
{
	for (size_t i = 0; known->remembered && i < OS_BINARY_TIMES; i++)
		if (entry->changed[i] && knows_time(known, entry->changed[i]))
			known->hashed = true;
}

/* A binary that a rule names was executed, or took part in a connection. */
static void used(struct binaries *b, const struct os_file_id *file, uint32_t pid)
{
	struct binaries_file *known = binaries_table_find(&b->table, file);
	struct os_binary entry;
	struct os_image now;
	int fd;

	if (known && known->generation == b->current.generation &&
	    (known->hashed || known->hashing))
		return;
	if (!find_entry(b, file, &entry) || !has_rules(&entry))
		return;
	known = binaries_table_use(&b->table, file, b->current.generation);
	if (!known)
		return;
	recall_content(known, &entry);
	if (known->hashed)
		return;
	fd = open_file(b, file, known->path, &now);
	if (fd < 0 && pid)
		fd = open_running(b, file, pid, &now);
	if (fd < 0)
		return;
	/* What changed since it was identified is not its content. */
	if (endpoint_same_content(&entry, now.changed))
		submit(b, known, fd, false);
	else
		safe_close(fd);
}

/* A binary may have changed: if so, its content is compared. */
static void check(struct binaries *b, const struct os_file_id *file, uint32_t pid)
{
	struct binaries_file *known;
	struct os_binary entry;
	struct os_image now;
	uint64_t time = now_ns();
	int fd;

	if (!find_entry(b, file, &entry) || !has_rules(&entry) || !entry.changed[0] ||
	    entry.changed[0] == OS_BINARY_NEVER)
		return;
	known = binaries_table_use(&b->table, file, b->current.generation);
	if (!known || known->hashing ||
	    (known->checked && time - known->checked < (known->silent ? SILENT_NS : CHECK_NS)))
		return;
	known->checked = time;
	recall_content(known, &entry);
	fd = open_file(b, file, known->path, &now);
	if (fd < 0 && pid)
		fd = open_running(b, file, pid, &now);
	if (fd < 0)
		return;
	if (!endpoint_same_content(&entry, now.changed) || (known->hashed && known->silent))
		submit(b, known, fd, true);
	else if (!known->hashed)
		/* Who was refused executed it before the load: it may have been the same content.
		 */
		submit(b, known, fd, false);
	else
		safe_close(fd);
}

static void revoke_binary(struct binaries *b, struct binaries_file *known, struct os_binary *entry,
			  const struct binaries_hash_result *result)
{
	struct binaries_revocation revocation = {
		.path = known->path ? known->path : "(unknown)",
		.image = {.file = known->file, .changed = result->changed},
		.hashed = known->hashed && known->remembered,
		.readable = !result->error,
	};

	*entry = (struct os_binary){.rules = entry->rules, .changed = {OS_BINARY_NEVER}};
	put_entry(b, &known->file, entry);
	memcpy(revocation.was, known->sha256, sizeof(revocation.was));
	memcpy(revocation.is, result->sha256, sizeof(revocation.is));
	if (b->options.revoked)
		b->options.revoked(b->options.arg, &revocation);
}

/* What was asked for may be another question by now: the entry says what is to be decided. */
static void hashed(struct binaries *b, const struct binaries_hash_result *result)
{
	struct binaries_file *known = binaries_table_find(&b->table, &result->file);
	struct os_binary entry;
	bool same;

	if (!known || known->generation != result->generation)
		return;
	known->hashing = false;
	if (result->generation != b->current.generation || !find_entry(b, &known->file, &entry) ||
	    entry.changed[0] == OS_BINARY_NEVER)
		return;
	if (result->error) {
		/* Being written: the next attempt to use it asks again. A first use stays without.
		 */
		if (known->comparing && result->error != -EAGAIN)
			revoke_binary(b, known, &entry, result);
		return;
	}
	same = known->remembered && !memcmp(known->sha256, result->sha256, sizeof(known->sha256));
	if (known->hashed ? !same : !endpoint_same_content(&entry, result->changed)) {
		revoke_binary(b, known, &entry, result);
		return;
	}
	memcpy(known->sha256, result->sha256, sizeof(known->sha256));
	if (!same)
		memset(known->times, 0, sizeof(known->times));
	known->hashed = known->remembered = true;
	merge_times(result->changed, entry.changed, known->times);
	put_entry(b, &known->file, &entry);
}

/* True once for each process and image: what it is made of was looked at. */
static bool is_news(struct binaries *b, const struct os_event *raw)
{
	struct binaries_seen *seen = &b->seen[raw->pid % BINARIES_SEEN];
	struct binaries_seen now = {.start_time = raw->start_time,
				    .pid = raw->pid,
				    .generation = b->current.generation,
				    .exe = raw->exe};

	if (!memcmp(seen, &now, sizeof(now)))
		return false;
	*seen = now;
	return true;
}

static void executed(struct binaries *b, const struct event *event)
{
	const char *path = event->exe_state == EVENT_PATH_FULL ? event->exe : NULL;
	const struct os_event *raw = &event->raw;
	struct binaries_file *known;
	struct os_proc proc;

	if (b->current.globs.len)
		binaries_look(b, &raw->exe, path);
	known = binaries_table_use(&b->table, &raw->exe, b->current.generation);
	if (!known)
		return;
	if (path)
		binaries_file_at(known, path);
	/* One that is in use and changed is compared before it is denied anything. */
	if (!known->hashed)
		used(b, &raw->exe, raw->pid);
	else if (known->silent || !binaries_process(b, raw->pid, raw->start_time, &proc) ||
		 !knows_time(known, proc.identity.exe.changed))
		check(b, &raw->exe, raw->pid);
}

static void connected(struct binaries *b, const struct os_event *raw)
{
	struct os_proc proc;

	if (!is_news(b, raw))
		return;
	used(b, &raw->exe, raw->pid);
	if (!binaries_process(b, raw->pid, raw->start_time, &proc))
		return;
	for (uint32_t i = 0; i < OS_ANCESTORS_MAX && i < proc.identity.ancestors; i++)
		used(b, &proc.identity.ancestor[i].file, 0);
}

void binaries_compare(struct binaries *b, const struct os_identity *identity, uint32_t pid)
{
	check(b, &identity->exe.file, pid);
	for (uint32_t i = 0; i < OS_ANCESTORS_MAX && i < identity->ancestors; i++)
		check(b, &identity->ancestor[i].file, 0);
}

static void refused(struct binaries *b, const struct os_event *raw)
{
	struct os_proc proc;

	if (binaries_process(b, raw->pid, raw->start_time, &proc))
		binaries_compare(b, &proc.identity, raw->pid);
	else
		check(b, &raw->exe, 0);
}

void binaries_event(struct binaries *b, const struct event *event)
{
	const struct os_event *raw = &event->raw;

	if (!event->decided || raw->slot != b->options.slot || !binaries_sync(b))
		return;
	if (raw->kind == OS_EVENT_EXEC && raw->hook == OS_HOOK_EXEC)
		executed(b, event);
	else if (raw->kind == OS_EVENT_NET && raw->reason == OS_REASON_CHANGED)
		refused(b, raw);
	else if (raw->kind == OS_EVENT_NET && raw->verdict == OS_EVENT_ALLOWED)
		connected(b, raw);
}

int binaries_fd(const struct binaries *b)
{
	return binaries_hash_fd(b->hash);
}

void binaries_poll(struct binaries *b)
{
	struct binaries_hash_result result;

	binaries_sync(b);
	while (!binaries_hash_collect(b->hash, &result))
		hashed(b, &result);
}
