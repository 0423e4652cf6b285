/* SPDX-License-Identifier: Apache-2.0 */
/* The store's key, and sealing payloads with it: AES-256-GCM (NIST SP 800-38D). */
#include "gateway/store_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#define NONCE_SIZE 12
#define TAG_SIZE   16
#define AAD_MAX	   128

static void free_context(EVP_CIPHER_CTX **context)
{
	EVP_CIPHER_CTX_free(*context);
}

static int make_key(const char *path, uint8_t ret_key[STORE_KEY_SIZE], struct error *err)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(err, -errno, "cannot make the store's key %s: %s", path,
				 strerror(errno));
	if (RAND_bytes(ret_key, STORE_KEY_SIZE) != 1)
		return error_set(err, -EIO, "no random numbers for a key");
	if (write(fd, ret_key, STORE_KEY_SIZE) != STORE_KEY_SIZE || fsync(fd)) {
		int r = errno ? -errno : -EIO;

		unlink(path);
		return error_set(err, r, "cannot write the store's key %s: %s", path, strerror(-r));
	}
	return 0;
}

int store_key_load(const char *path, bool create, uint8_t ret_key[STORE_KEY_SIZE],
		   struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t more[STORE_KEY_SIZE + 1];
	struct stat st;

	if (fd < 0 && errno == ENOENT && create)
		return make_key(path, ret_key, err);
	if (fd < 0)
		return error_set(err, -errno,
				 "cannot read the store's key %s: %s; without it the database "
				 "cannot be read",
				 path, strerror(errno));
	if (fstat(fd, &st))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (st.st_mode & 077)
		return error_set(err, -EPERM, "others may read the store's key %s: chmod 600 it",
				 path);
	if (read(fd, more, sizeof(more)) != STORE_KEY_SIZE) {
		OPENSSL_cleanse(more, sizeof(more));
		return error_set(err, -EINVAL, "the store's key %s does not have %d bytes", path,
				 STORE_KEY_SIZE);
	}
	memcpy(ret_key, more, STORE_KEY_SIZE);
	OPENSSL_cleanse(more, sizeof(more));
	return 0;
}

/* What a payload cannot be taken away from. */
static size_t authenticated(const struct store_object *object, uint8_t aad[AAD_MAX])
{
	size_t n = strnlen(object->id, AAD_MAX - 16), at = 0;

	aad[at++] = (uint8_t)object->kind;
	for (int i = 0; i < 8; i++)
		aad[at++] = (uint8_t)(object->version >> (8 * i));
	memcpy(aad + at, object->id, n);
	return at + n;
}

int store_seal(const struct store *store, const struct store_object *object, uint8_t **ret_sealed,
	       size_t *ret_size, struct error *err)
{
	_cleanup_(free_context) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t size = object->payload_size + STORE_SEAL_OVERHEAD;
	_cleanup_free_ uint8_t *sealed = malloc(size);
	uint8_t aad[AAD_MAX];
	size_t aad_size = authenticated(object, aad);
	int n;

	if (!c || !sealed)
		return error_set(err, -ENOMEM, "out of memory");
	if (object->payload_size > INT32_MAX / 2)
		return error_set(err, -E2BIG, "an object is too large");
	if (RAND_bytes(sealed, NONCE_SIZE) != 1 ||
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, store->key, sealed) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &n, aad, (int)aad_size) != 1 ||
	    EVP_EncryptUpdate(c, sealed + NONCE_SIZE, &n,
			      object->payload_size ? object->payload : aad,
			      (int)object->payload_size) != 1 ||
	    EVP_EncryptFinal_ex(c, sealed + NONCE_SIZE + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, sealed + size - TAG_SIZE) != 1)
		return error_set(err, -EIO, "an object cannot be sealed");
	*ret_sealed = TAKE_PTR(sealed);
	*ret_size = size;
	return 0;
}

int store_unseal(const struct store *store, struct store_object *object, const uint8_t *sealed,
		 size_t size, struct error *err)
{
	_cleanup_(free_context) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	_cleanup_free_ uint8_t *payload = NULL;
	uint8_t aad[AAD_MAX];
	size_t aad_size = authenticated(object, aad), length;
	int n;

	if (size < STORE_SEAL_OVERHEAD)
		return error_set(err, -EBADMSG, "object %s is damaged", object->id);
	length = size - STORE_SEAL_OVERHEAD;
	payload = malloc(length + 1);
	if (!c || !payload)
		return error_set(err, -ENOMEM, "out of memory");
	if (EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, store->key, sealed) != 1 ||
	    EVP_DecryptUpdate(c, NULL, &n, aad, (int)aad_size) != 1 ||
	    EVP_DecryptUpdate(c, payload, &n, sealed + NONCE_SIZE, (int)length) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
				(void *)(sealed + size - TAG_SIZE)) != 1 ||
	    EVP_DecryptFinal_ex(c, payload + n, &n) != 1) {
		OPENSSL_cleanse(payload, length);
		return error_set(err, -EBADMSG,
				 "object %s does not open by the store's key: it was changed, or "
				 "the key is another one",
				 object->id);
	}
	object->payload = TAKE_PTR(payload);
	object->payload_size = length;
	return 0;
}
