/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_bundle.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define PB(name) Openshell__Worker__V1__##name

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* A host may insist on the flag, an older kernel does not know it. */
static int create_memfd(void)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("openshell-policy", flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("openshell-policy", flags);
	return fd < 0 ? -errno : fd;
}

static int write_sealed(const uint8_t *data, size_t size, int *ret_fd)
{
	_cleanup_close_ int fd = create_memfd();
	size_t done = 0;

	if (fd < 0)
		return fd;
	while (done < size) {
		ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* A buffer of secrets. */
struct secret {
	uint8_t *data;
	size_t size;
};

static void secret_wipe(struct secret *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->size);
	free(secret->data);
}

static int pack(const struct worker_bundle *bundle, struct secret *ret_packed)
{
	size_t policy_size =
		openshell__compiled__v1__compiled_policy__get_packed_size(bundle->policy);
	_cleanup_free_ uint8_t *policy = malloc(policy_size + 1);
	_cleanup_free_ char *trust = NULL;
	PB(WorkerBundle) message;

	if (!policy || asprintf(&trust, "%s%s", bundle->trust->host, bundle->trust->extra) < 0)
		return -ENOMEM;
	openshell__compiled__v1__compiled_policy__pack(bundle->policy, policy);
	openshell__worker__v1__worker_bundle__init(&message);
	message.generation = bundle->generation;
	message.audit = bundle->audit;
	message.policy = (ProtobufCBinaryData){.data = policy, .len = policy_size};
	message.credentials = (PB(Credential) **)bundle->credentials;
	message.n_credentials = bundle->credentials_len;
	message.trust = (ProtobufCBinaryData){.data = (uint8_t *)trust, .len = strlen(trust)};
	message.sandbox = (char *)bundle->sandbox;
	message.inference = (PB(Inference) *)bundle->inference;
	ret_packed->size = openshell__worker__v1__worker_bundle__get_packed_size(&message);
	if (ret_packed->size > WORKER_BUNDLE_MAX)
		return -E2BIG;
	ret_packed->data = malloc(ret_packed->size + 1);
	if (!ret_packed->data)
		return -ENOMEM;
	openshell__worker__v1__worker_bundle__pack(&message, ret_packed->data);
	return 0;
}

int worker_bundle_seal(const struct worker_bundle *bundle, int *ret_fd, uint32_t *ret_size,
		       struct error *err)
{
	_cleanup_(secret_wipe) struct secret packed = {};
	int r = pack(bundle, &packed);

	if (!r)
		r = write_sealed(packed.data, packed.size, ret_fd);
	if (r == -E2BIG)
		return error_set(err, r,
				 "policy, credentials and CA certificates come to more than %u MiB",
				 WORKER_BUNDLE_MAX >> 20);
	if (r)
		return error_set(err, r, "cannot give the policy to the sandbox's worker: %s",
				 strerror(-r));
	*ret_size = (uint32_t)packed.size;
	return 0;
}
