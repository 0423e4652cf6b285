/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include "loaded.h"
#include "policy.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char runner_dir[] = "/tmp/ostest-egress-XXXXXX";
static unsigned int done, failed;

void result(bool ok, const char *fmt, ...)
{
	va_list args;

	printf("%s %u - ", ok ? "ok" : "not ok", ++done);
	failed += !ok;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* One report of a running act: its errno, or -1 after eight seconds of silence. */
int next_report(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int error;

	if (poll(&p, 1, 8000) != 1 || read(fd, &error, sizeof(error)) != sizeof(error))
		return -1;
	return error;
}

void end(pid_t pid, int report, int go)
{
	close(report);
	close(go);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* `{name}` in a word of an act is a program of ours; `{scope}` the interface to the peer. */
static char *expand(const char *word, int scope)
{
	char *text;
	int r;

	if (word[0] == '{') {
		size_t len = strlen(word);

		r = asprintf(&text, "%s/%.*s", runner_dir, (int)len - 2, word + 1);
	} else if (strchr(word, '%')) {
		r = asprintf(&text, "%.*s%%%d", (int)(strchr(word, '%') - word), word, scope);
	} else {
		r = asprintf(&text, "%s", word);
	}
	if (r < 0)
		die("memory");
	return text;
}

#define WORDS_MAX 16

pid_t start(uint32_t slot, const char *act, int scope, int *ret_report, int *ret_go)
{
	char *argv[WORDS_MAX + 1] = {}, *copy = strdup(act), *rest = copy, *word;
	size_t n = 0;
	pid_t pid;

	while ((word = strsep(&rest, " ")) && n < WORDS_MAX)
		argv[n++] = expand(word, scope);
	pid = loaded_run(slot, argv, ret_report, ret_go);
	while (n)
		free(argv[--n]);
	free(copy);
	return pid;
}

int run(uint32_t slot, const char *act, int scope)
{
	int report, go, error;
	pid_t pid = start(slot, act, scope, &report, &go);

	error = next_report(report);
	end(pid, report, go);
	return error;
}

bool went_to(const struct os_event *event, const char *real)
{
	uint8_t address[16] = {};

	if (real && inet_pton(AF_INET6, real, address) != 1)
		die(real);
	return !memcmp(event->real, address, sizeof(address));
}

void check(const struct row *row, int scope)
{
	uint64_t ran = loaded_count(OS_COUNT_HOOK + row->hook);
	uint64_t denied = loaded_count(OS_COUNT_HOOK_DENIED + row->hook);
	struct os_event event;
	int inside, outside, told;

	loaded_event(1, &event);
	inside = run(1, row->act, scope);
	ran = loaded_count(OS_COUNT_HOOK + row->hook) - ran;
	denied = loaded_count(OS_COUNT_HOOK_DENIED + row->hook) - denied;
	told = loaded_event(1, &event) && event.hook == row->hook;
	outside = row->outside < 0 ? -1 : run(0, row->act, scope);

	if (outside == EPROTONOSUPPORT && row->outside == 0) {
		printf("ok %u - %s # SKIP this kernel has no such socket\n", ++done, row->what);
		return;
	}

	bool ok = inside == row->error && outside == row->outside && ran > 0 &&
		  !denied == !row->reason;

	if (row->reason)
		ok &= told && event.verdict == OS_EVENT_DENIED && event.reason == row->reason &&
		      event.error == -EPERM;
	else if (row->endpoint != NO)
		ok &= told && event.verdict == OS_EVENT_ALLOWED && event.endpoint == row->endpoint;
	else if (row->error == WORKER)
		ok &= !told;
	if (told)
		ok &= !(event.flags & OS_EVENT_PROXIED) || row->error == WORKER;
	if (told)
		ok &= went_to(&event, row->real) || (row->real2 && went_to(&event, row->real2));
	result(ok, "%s", row->what);
	if (!ok)
		printf("#   %s\n#   inside %d (want %d), outside %d (want %d), hook ran %llu, "
		       "denied "
		       "%llu, event %d: hook %d verdict %d reason %d (want %d) endpoint %d\n",
		       row->act, inside, row->error, outside, row->outside, (unsigned long long)ran,
		       (unsigned long long)denied, told, told ? event.hook : 0,
		       told ? event.verdict : 0, told ? event.reason : 0, row->reason,
		       told ? (int)event.endpoint : 0);
}

void check_switch(const char *act, const char *what, int wanted, int scope)
{
	int report, go, first, second, restored;
	unsigned int told;
	pid_t pid = start(1, act, scope, &report, &go);
	struct os_event event = {};

	if (next_report(report) != 0) {
		result(false, "%s: both connections work before", what);
		end(pid, report, go);
		return;
	}
	loaded_watch(pid);
	policy_switch(POLICY_WITHOUT_SECOND, runner_dir);
	if (write(go, "", 1) != 1)
		die("go");
	first = next_report(report);
	second = next_report(report);
	result(first == wanted, "%s: what is still admitted goes on", what);
	result(second == EAGAIN || second == EPERM, "%s: what is revoked stops", what);
	told = loaded_watched(1, &event);
	result(told == 1 && event.verdict == OS_EVENT_DENIED &&
		       event.reason == OS_REASON_NO_ENDPOINT && (event.flags & OS_EVENT_RECORDED),
	       "%s: the revoked one is told once, with who opened it", what);
	end(pid, report, go);
	policy_switch(POLICY_FULL, runner_dir);
	restored = run(1, "{admitted} tcp fd77::2 8000", scope);
	result(restored == 0, "%s: a later policy admits it again", what);
	if (first != wanted || (second != EAGAIN && second != EPERM) || told != 1)
		printf("#   first %d second %d told %u\n", first, second, told);
}

int runner_finish(void)
{
	printf("1..%u\n# %u passed, %u failed\n", done, done - failed, failed);
	return failed != 0;
}
