/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies that change under running agents, and agents that outlive their supervisor: four
 * processes open files as fast as they can while the policy is switched 200 times, with no wrong
 * answer where all policies agree and the right one, at once, where they do not; and whoever is in
 * a sandbox's cgroup stays denied when its owner is killed. Needs BPF-LSM. Prints TAP.
 */
#include "suite.h"

#include "act.h"
#include "common/cleanup.h"
#include "common/policy.h"
#include "hammer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SWITCHES 200

/* They agree about rw/plain and rw/secret, and differ in one/granted and in how much they list. */
static const char policy_a[] = "version: 1\n"
			       "filesystem_policy:\n"
			       "  include_workdir: false\n"
			       "  read_only: [@/bin, @/ro, @/one]\n"
			       "  read_write: [@/rw]\n"
			       "  deny: [@/rw/secret]\n";
static const char policy_b[] =
	"version: 1\n"
	"filesystem_policy:\n"
	"  include_workdir: false\n"
	"  read_only: [@/bin, @/rw/ro, @/rw/frozen, @/rw/deep, @/rw/deep/d, @/rw/deep/d/d]\n"
	"  read_write: [@/rw, @/rw/ro/rw, @/rw/moves, @/rw/parent]\n"
	"  deny: [@/rw/secret, @/rw/deny, @/rw/secret.unlink, @/rw/secret.rename, @/one/granted,\n"
	"         @/rw/moves/secret]\n";
/* A hard requirement that cannot be met: refused whole. */
static const char policy_bad[] = "version: 1\n"
				 "filesystem_policy:\n"
				 "  include_workdir: false\n"
				 "  read_only: [@/bin, @/nowhere]\n"
				 "  read_write: [@/rw, @/out]\n"
				 "landlock:\n"
				 "  compatibility: hard_requirement\n";

static struct hammer *hammers_map(const char *path)
{
	size_t size = sizeof(struct hammer) * HAMMERS;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct hammer *hammers;

	if (fd < 0 || ftruncate(fd, (off_t)size) || fchmod(fd, 0666))
		stage_die("%s: %s", path, strerror(errno));
	hammers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (hammers == MAP_FAILED)
		stage_die("mmap: %s", strerror(errno));
	return hammers;
}

/* Until every hammer has hit more often than @rounds times since now. */
static void let_hammer(const struct hammer *hammers, uint64_t rounds)
{
	for (int i = 0; i < HAMMERS; i++) {
		uint64_t from = __atomic_load_n(&hammers[i].opens, __ATOMIC_RELAXED);

		for (int waited = 0;
		     __atomic_load_n(&hammers[i].opens, __ATOMIC_RELAXED) < from + rounds;
		     waited++) {
			if (waited == 20000)
				stage_die("hammer %d does not move", i);
			usleep(500);
		}
	}
}

static void switch_policies(struct sandbox *sandbox, struct server *agent)
{
	uint8_t digest[2][32];
	Openshell__Compiled__V1__CompiledPolicy *policy[2] = {
		stage_compile(&stage, policy_a, digest[0]),
		stage_compile(&stage, policy_b, digest[1]),
	};
	struct hammer *hammers = hammers_map(stage_path(&stage, "rw/counters"));
	uint64_t opens = 0, wrong = 0, allowed = 0, denied = 0;
	unsigned int failed = 0, late = 0;
	char words[1024];
	struct error err = {};

	stage_prepare(&stage, "self_hammer X:rw/counters X:rw/plain X:rw/secret X:one/granted",
		      words);
	if (server_ask(agent, words))
		stage_die("the hammers did not start");
	let_hammer(hammers, 10);
	for (int i = 1; i <= SWITCHES; i++) {
		int which = i % 2;

		if (sandbox_update(sandbox, policy[which], digest[which], &err)) {
			if (!failed++)
				printf("# %s\n", err.message);
			continue;
		}
		stage_prepare(&stage, "read X:one/granted", words);
		late += server_ask(agent, words) != (which ? -EACCES : 0);
		let_hammer(hammers, 2);
	}
	for (int i = 0; i < HAMMERS; i++) {
		__atomic_store_n(&hammers[i].stop, 1, __ATOMIC_RELEASE);
		opens += hammers[i].opens;
		wrong += hammers[i].wrong;
		allowed += hammers[i].flips_allowed;
		denied += hammers[i].flips_denied;
		if (hammers[i].wrong)
			printf("# hammer %d: %s for %s\n", i, name_of(-hammers[i].error),
			       hammers[i].path);
	}
	point(failed == 0, "%d policy switches under load", SWITCHES);
	point(wrong == 0 && opens > SWITCHES * HAMMERS,
	      "no wrong verdict among the opens of %d agents", HAMMERS);
	printf("# %llu opens, %llu wrong; of the file that changed %llu granted, %llu denied\n",
	       (unsigned long long)opens, (unsigned long long)wrong, (unsigned long long)allowed,
	       (unsigned long long)denied);
	point(late == 0, "each switch is in force when it returns");
	point(allowed && denied, "the verdict that policies differ in changed under load");
	policy_compiled_free(policy[0]);
	policy_compiled_free(policy[1]);
}

/* A policy that cannot be put in force whole leaves the one that is. */
static void refuse_policy(struct sandbox *sandbox, struct server *agent)
{
	uint8_t digest[32];
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *bad =
		stage_compile(&stage, policy_bad, digest);
	uint32_t generation = sandbox->slot.generation;
	struct error err = {};
	char words[1024];
	int r = sandbox_update(sandbox, bad, digest, &err), secret, plain, out;

	stage_prepare(&stage, "read X:rw/secret", words);
	secret = server_ask(agent, words);
	stage_prepare(&stage, "read X:rw/plain", words);
	plain = server_ask(agent, words);
	stage_prepare(&stage, "read X:out/secret", words);
	out = server_ask(agent, words);
	point(r < 0 && secret == -EACCES && plain == 0 && out == -EACCES &&
		      sandbox->slot.generation == generation,
	      "a policy that cannot be met changes nothing");
}

/* The sandbox's owner: a process of its own, as a supervisor is. */
static pid_t start_owner(int report)
{
	pid_t pid = fork();
	struct server server;
	struct error err = {};

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (kernel_open(&stage.kernel, &err))
		stage_die("%s", err.message);
	stage_start(&stage, "enforce-orphan", policy_a, "bin", false, &server);
	if (write(report, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static bool cgroup_exists(const char *name)
{
	return !faccessat(stage.kernel->tree.agents_fd, name, F_OK, 0);
}

static void kill_owner(void)
{
	struct sandbox orphan = {.slot.cgroup.fd = -1};
	int report[2], secret, plain, unlisted;
	struct kernel *again = NULL;
	struct error err = {};
	struct server server;
	char words[1024], byte;
	pid_t owner;

	if (pipe2(report, O_CLOEXEC))
		stage_die("pipe: %s", strerror(errno));
	owner = start_owner(report[1]);
	if (read(report[0], &byte, 1) != 1)
		stage_die("the owner did not start a sandbox");
	orphan.slot.cgroup.fd = openat(stage.kernel->tree.agents_fd, "enforce-orphan",
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Not in the sandbox's pid namespace, so that nothing but the policy ends with the owner.
	 */
	stage_spawn(&stage, &orphan, 0, &server);
	kill(owner, SIGKILL);
	while (waitpid(owner, NULL, 0) < 0 && errno == EINTR)
		;
	close(report[0]);
	close(report[1]);
	stage_prepare(&stage, "read X:rw/secret", words);
	secret = server_ask(&server, words);
	stage_prepare(&stage, "read X:rw/plain", words);
	plain = server_ask(&server, words);
	stage_prepare(&stage, "read X:out/secret", words);
	unlisted = server_ask(&server, words);
	point(secret == -EACCES && unlisted == -EACCES,
	      "after kill -9 of the owner what is denied stays denied");
	point(plain == 0, "after kill -9 of the owner what is granted stays granted");
	point(!access(KERNEL_PIN_DIR "/link_file_open", F_OK), "programs stay pinned");
	safe_close(orphan.slot.cgroup.fd);
	/* Whoever comes next sweeps. */
	if (kernel_open(&again, &err))
		stage_die("%s", err.message);
	point(server_ask(&server, words) == -EPIPE, "the next start kills what was left");
	point(!cgroup_exists("enforce-orphan"), "and removes its cgroup");
	kernel_close(again);
	server_stop(&server);
}

int main(void)
{
	struct server agent;
	struct sandbox *sandbox;
	_cleanup_free_ char *cgroup = NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	stage.lsm = true;
	stage_open(&stage);
	sandbox = stage_start(&stage, "enforce-swap", policy_a, "bin", false, &agent);
	switch_policies(sandbox, &agent);
	refuse_policy(sandbox, &agent);
	server_stop(&agent);
	sandbox_free(sandbox);
	kill_owner();
	if (asprintf(&cgroup, "%s/" CGROUP_PARENT, stage.kernel->tree.mounts.v2) < 0)
		stage_die("out of memory");
	stage_tear_down(&stage);
	point(access(cgroup, F_OK) && access(KERNEL_PIN_DIR, F_OK), "nothing is left behind");
	return suite_end();
}
