/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that a worker does with TLS, by a process that may only do what filter.h lets a worker do:
 * another system call kills it. The other ends are this program.
 */
#include "tls_fixture.h"

#include "proxy/filter.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HOST	"api.one.example"
#define ROUNDS	3
#define PATIENT 20000 /* ms */

/* What a worker inherits: the ends of connections, and what it hears and says. */
struct job {
	struct tls_ca_store *store;
	int agent[ROUNDS], server[ROUNDS], trust, report;
};

/* _exit() is a function that does not return, for which the sanitizer makes a call of its own. */
static void leave(int status)
{
	syscall(SYS_exit_group, status);
}

static void confine(void)
{
	struct sock_filter code[FILTER_MAX];
	struct sock_fprog program = {.filter = code};

	/* As confine_zygote() does: gmtime_r() reads the time zone, which it has no use for. */
	tzset();
	if (filter_assemble(WORKER_ROLE_WORKER, code, &program.len) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		_exit(100);
}

static void wait_for(struct conn *conn, bool want_read)
{
	uint32_t events = conn_events(conn, want_read, false);
	struct pollfd pollfd = {.fd = conn->fd, .events = (short)events};

	if (!events || poll(&pollfd, 1, PATIENT) != 1)
		leave(101);
}

static void shake(struct conn *conn)
{
	int r;

	while ((r = conn_handshake(conn)) == 0)
		wait_for(conn, false);
	if (r < 0)
		leave(102);
}

static size_t read_some(struct conn *conn, uint8_t *data, size_t size)
{
	ssize_t n;

	while ((n = conn_read(conn, data, size)) == -EAGAIN)
		wait_for(conn, true);
	if (n < 0)
		leave(103);
	return (size_t)n;
}

/* One question from the agent to the server, and its answer. */
static void relay(struct tls *tls, int agent_fd, int server_fd)
{
	struct conn agent, server;
	uint8_t data[256];
	size_t n;
	SSL *ssl;

	if (tls_accept(tls, agent_fd, HOST, true, &ssl))
		leave(104);
	conn_init(&agent, agent_fd, ssl, false);
	shake(&agent);
	n = read_some(&agent, data, sizeof(data));
	if (tls_connect(tls, server_fd, HOST, 443, true, &ssl))
		leave(105);
	conn_init(&server, server_fd, ssl, true);
	shake(&server);
	if (conn_write(&server, data, n) != (ssize_t)n)
		leave(106);
	n = read_some(&server, data, sizeof(data));
	if (conn_write(&agent, data, n) != (ssize_t)n || conn_shutdown_write(&agent))
		leave(107);
	/* A session that was not resumed would be another test's failure as well. */
	conn_close(&server, false);
	conn_close(&agent, true);
}

static void work(const struct job *job)
{
	static uint8_t trust[1 << 20];
	size_t size, trust_size = 0;
	const uint8_t *der;
	struct tls_ca *ca;
	struct tls *tls;
	ssize_t n;

	confine();
	while ((n = read(job->trust, trust + trust_size, sizeof(trust) - trust_size)) > 0)
		trust_size += (size_t)n;
	if (tls_ca_open(job->store, &ca))
		leave(108);
	tls_ca_store_free(job->store);
	if (tls_new(ca, &tls, NULL) || tls_trust(tls, trust, trust_size, &size, NULL))
		leave(109);
	tls_ca_der(ca, &der, &size);
	if (write(job->report, der, size) != (ssize_t)size)
		leave(110);
	for (int i = 0; i < ROUNDS; i++)
		relay(tls, job->agent[i], job->server[i]);
	tls_free(tls);
	tls_ca_free(ca);
	leave(0);
}

static void blocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

static SSL *end(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	blocking(fd);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	return ssl;
}

static void talk(SSL_CTX *client, int agent_fd, SSL_CTX *server_ctx, int server_fd)
{
	SSL *agent = end(client, agent_fd), *server = end(server_ctx, server_fd);
	char data[64];

	assert_int_equal(SSL_set1_host(agent, HOST), 1);
	assert_int_equal(SSL_connect(agent), 1);
	assert_int_equal(SSL_write(agent, "a question", 10), 10);
	assert_int_equal(SSL_accept(server), 1);
	assert_int_equal(SSL_read(server, data, sizeof(data)), 10);
	assert_int_equal(SSL_write(server, "an answer", 9), 9);
	assert_int_equal(SSL_read(agent, data, sizeof(data)), 9);
	assert_int_equal(SSL_read(agent, data, sizeof(data)), 0);
	SSL_free(agent);
	SSL_free(server);
	close(agent_fd);
	close(server_fd);
}

static void read_ca(int fd, struct authority *ca)
{
	uint8_t data[TLS_CA_DER_MAX];
	const unsigned char *der = data;
	ssize_t n = read(fd, data, sizeof(data));

	assert_true(n > 0);
	ca->certificate = d2i_X509(NULL, &der, n);
	assert_non_null(ca->certificate);
}

static SSL_CTX *trusting(X509 *ca)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca), 1);
	return ctx;
}

/* Enough that reading it has to grow and sort things. */
static void send_trust(int fd, const struct authority *authority)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long size;

	for (int i = 0; i < 200; i++) {
		struct authority other;
		char name[32];

		snprintf(name, sizeof(name), "Authority %d", i);
		authority_make(&other, name);
		pem_append(bio, other.certificate);
		authority_free(&other);
	}
	pem_append(bio, authority->certificate);
	size = BIO_get_mem_data(bio, &pem);
	assert_int_equal(write(fd, pem, (size_t)size), size);
	close(fd);
	BIO_free(bio);
}

static void check_worker(void)
{
	struct authority authority, ca = {};
	int agent[ROUNDS], server[ROUNDS], report[2], trust[2], status;
	SSL_CTX *client, *server_ctx;
	struct job job = {};
	EVP_PKEY *key;
	X509 *x;
	pid_t pid;

	assert_int_equal(tls_ca_store_new(&job.store), 0);
	assert_int_equal(pipe(report), 0);
	assert_int_equal(pipe(trust), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int fds[2];

		sockets_make(fds);
		job.agent[i] = fds[0];
		agent[i] = fds[1];
		sockets_make(fds);
		job.server[i] = fds[0];
		server[i] = fds[1];
	}
	job.report = report[1];
	job.trust = trust[0];
	pid = fork();
	if (pid == 0) {
		close(trust[1]);
		work(&job);
	}
	close(report[1]);
	close(trust[0]);
	for (int i = 0; i < ROUNDS; i++) {
		close(job.agent[i]);
		close(job.server[i]);
	}
	authority_make(&authority, "A test's authority");
	send_trust(trust[1], &authority);
	assert_int_equal(tls_x509_key(&key), 0);
	x = certify(&authority, key, HOST, "DNS:" HOST, NULL);
	server_ctx = server_make(x, key);
	read_ca(report[0], &ca);
	client = trusting(ca.certificate);
	for (int i = 0; i < ROUNDS; i++)
		talk(client, agent[i], server_ctx, server[i]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("status %#x", (unsigned int)status);
	/* Resumed by what the worker kept of the one before. */
	assert_int_equal(SSL_CTX_sess_hits(server_ctx), ROUNDS - 1);
	SSL_CTX_free(client);
	SSL_CTX_free(server_ctx);
	X509_free(x);
	EVP_PKEY_free(key);
	authority_free(&authority);
	authority_free(&ca);
	tls_ca_store_free(job.store);
	close(report[0]);
}

/* The first of all tests: nothing in this process has started OpenSSL. */
static void works_by_a_workers_system_calls(void **state)
{
	check_worker();
}

static void works_prepared_as_well(void **state)
{
	assert_int_equal(tls_prepare(), 0);
	check_worker();
}

/* The control: that the filter is one. */
static void another_system_call_kills(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGSYS, SIG_DFL);
		confine();
		_exit(open("/etc/ssl/openssl.cnf", O_RDONLY) < 0 ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Children of one process have not one sequence of random numbers. */
static void children_differ(void **state)
{
	uint8_t key[2][TLS_TICKET_KEY_SIZE];

	assert_int_equal(tls_prepare(), 0);
	for (int i = 0; i < 2; i++) {
		int report[2], status;
		pid_t pid;

		assert_int_equal(pipe(report), 0);
		pid = fork();
		if (pid == 0) {
			struct tls_ca_store *store;
			struct tls_ca *ca;

			if (tls_ca_store_new(&store))
				leave(1);
			confine();
			if (tls_ca_open(store, &ca) ||
			    write(report[1], tls_ca_ticket_key(ca), sizeof(key[0])) < 0)
				leave(2);
			leave(0);
		}
		close(report[1]);
		assert_int_equal(read(report[0], key[i], sizeof(key[i])), sizeof(key[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		close(report[0]);
	}
	assert_memory_not_equal(key[0], key[1], sizeof(key[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(works_by_a_workers_system_calls),
		cmocka_unit_test(works_prepared_as_well),
		cmocka_unit_test(another_system_call_kills),
		cmocka_unit_test(children_differ),
	};

	signal(SIGPIPE, SIG_IGN);
	/* A worker that was killed must not leave this one waiting for it. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
