/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/kernel_types.h"

#include "common/cleanup.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
/* As in policy_compile.c: the plain functions. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

/* The build id of the running kernel, among other notes. */
#define KERNEL_NOTES "/sys/kernel/notes"

struct extract {
	const struct btf *from;
	struct btf *to;
	uint32_t *copied; /* by id in @from: id in @to, 0 = not yet */
	int pointer;	  /* the one pointer type, to nothing */
	char **name;	  /* sorted */
	size_t names;
};

static void extract_release(struct extract *x)
{
	btf__free((struct btf *)x->from);
	btf__free(x->to);
	free(x->copied);
	for (size_t i = 0; i < x->names; i++)
		free(x->name[i]);
	free(x->name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of what the object may ask about; `task_struct___old` asks about task_struct. */
static int collect_names(const struct bpf_object *object, struct extract *x)
{
	const struct btf *btf = bpf_object__btf(object);
	uint32_t n = btf ? btf__type_cnt(btf) : 0;

	x->name = calloc(n + 1, sizeof(*x->name));
	if (!x->name)
		return -ENOMEM;
	for (uint32_t id = 1; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf__name_by_offset(btf, t->name_off), *flavour;

		if (!btf_is_composite(t) || !name || !*name)
			continue;
		flavour = strstr(name, "___");
		x->name[x->names] = strndup(name, flavour ? (size_t)(flavour - name) : SIZE_MAX);
		if (!x->name[x->names++])
			return -ENOMEM;
	}
	qsort(x->name, x->names, sizeof(*x->name), compare_names);
	return x->names ? 0 : -ENOENT;
}

static int copy_type(struct extract *x, uint32_t id);

/* Members first: a type's members have to follow it. Without pointers there are no cycles. */
static int copy_composite(struct extract *x, const struct btf_type *t, const char *name)
{
	const struct btf_member *member = btf_members(t);
	int r, id;

	for (int i = 0; i < btf_vlen(t); i++) {
		r = copy_type(x, member[i].type);
		if (r < 0)
			return r;
	}
	id = btf_is_struct(t) ? btf__add_struct(x->to, name, t->size)
			      : btf__add_union(x->to, name, t->size);
	for (int i = 0; id > 0 && i < btf_vlen(t); i++) {
		r = btf__add_field(x->to, btf__name_by_offset(x->from, member[i].name_off),
				   copy_type(x, member[i].type), btf_member_bit_offset(t, i),
				   btf_member_bitfield_size(t, i));
		if (r < 0)
			return r;
	}
	return id;
}

static int copy_array(struct extract *x, const struct btf_type *t)
{
	const struct btf_array *array = btf_array(t);
	int element = copy_type(x, array->type), index = copy_type(x, array->index_type);

	if (element < 0 || index < 0)
		return element < 0 ? element : index;
	return btf__add_array(x->to, index, element, array->nelems);
}

/* The id in the new BTF; what qualifies a type makes no difference to a relocation. */
static int copy_type(struct extract *x, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(x->from, id);
	const char *name;
	int r;

	if (!id)
		return 0;
	if (!t)
		return -EINVAL;
	if (x->copied[id])
		return (int)x->copied[id];
	name = btf__name_by_offset(x->from, t->name_off);
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		r = btf__add_int(x->to, name, t->size, btf_int_encoding(t));
		break;
	case BTF_KIND_FLOAT:
		r = btf__add_float(x->to, name, t->size);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		r = btf__add_enum(x->to, name, t->size);
		break;
	case BTF_KIND_PTR:
		r = x->pointer;
		break;
	case BTF_KIND_ARRAY:
		r = copy_array(x, t);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		r = copy_composite(x, t, name);
		break;
	case BTF_KIND_TYPEDEF:
		r = copy_type(x, t->type);
		if (r >= 0)
			r = btf__add_typedef(x->to, name, r);
		break;
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		r = copy_type(x, t->type);
		break;
	default:
		r = -EINVAL;
	}
	if (r > 0)
		x->copied[id] = (uint32_t)r;
	return r;
}

static int extract(struct extract *x)
{
	uint32_t n;

	x->from = btf__load_vmlinux_btf();
	if (!x->from)
		return -errno;
	x->to = btf__new_empty();
	n = btf__type_cnt(x->from);
	x->copied = calloc(n, sizeof(*x->copied));
	if (!x->to || !x->copied)
		return -ENOMEM;
	x->pointer = btf__add_ptr(x->to, 0);
	if (x->pointer < 0)
		return x->pointer;
	for (uint32_t id = 1; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(x->from, id);
		const char *name = btf__name_by_offset(x->from, t->name_off);
		int r;

		if (!btf_is_composite(t) || !name || !*name ||
		    !bsearch(&name, x->name, x->names, sizeof(*x->name), compare_names))
			continue;
		r = copy_type(x, id);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Whole or not at all, for whoever loads at the same time. */
static int write_file(const char *path, const void *data, size_t size)
{
	char temporary[KERNEL_TYPES_PATH_MAX + 16];
	_cleanup_close_ int fd = -1;
	int r = 0;

	snprintf(temporary, sizeof(temporary), "%s.%d", path, getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (size && !r) {
		ssize_t n = write(fd, data, size);

		if (n < 0)
			r = -errno;
		else
			data = (const char *)data + n, size -= (size_t)n;
	}
	if (!r && rename(temporary, path))
		r = -errno;
	if (r)
		unlink(temporary);
	return r;
}

/* What the file's content depends on: the kernel's build, the object's types, and this code. */
static int digest(const struct bpf_object *object, uint8_t ret_digest[SHA256_DIGEST_LENGTH])
{
	_cleanup_close_ int fd = open(KERNEL_NOTES, O_RDONLY | O_CLOEXEC);
	uint32_t size;
	const void *types = btf__raw_data(bpf_object__btf(object), &size);
	SHA256_CTX context;
	char notes[4096];
	ssize_t n;

	if (fd < 0 || !types)
		return -errno;
	n = read(fd, notes, sizeof(notes));
	if (n <= 0)
		return n ? -errno : -ENODATA;
	if (!SHA256_Init(&context) ||
	    !SHA256_Update(&context, OPENSHELL_VERSION, sizeof(OPENSHELL_VERSION)) ||
	    !SHA256_Update(&context, notes, (size_t)n) || !SHA256_Update(&context, types, size) ||
	    !SHA256_Final(ret_digest, &context))
		return -EIO;
	return 0;
}

int kernel_types_file(const struct bpf_object *object, const char *directory,
		      char ret_path[KERNEL_TYPES_PATH_MAX])
{
	_cleanup_(extract_release) struct extract x = {};
	uint8_t sum[SHA256_DIGEST_LENGTH];
	char path[KERNEL_TYPES_PATH_MAX];
	const void *data;
	uint32_t size;
	size_t n;
	int r;

	r = digest(object, sum);
	if (r)
		return r;
	n = (size_t)snprintf(path, sizeof(path), "%s/types-", directory);
	for (size_t i = 0; i < sizeof(sum); i++) {
		if (n >= sizeof(path))
			return -ENAMETOOLONG;
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%02x", sum[i]);
	}
	if (n >= sizeof(path))
		return -ENAMETOOLONG;
	if (access(path, R_OK)) {
		r = collect_names(object, &x);
		if (!r)
			r = extract(&x);
		if (r)
			return r;
		data = btf__raw_data(x.to, &size);
		r = data ? write_file(path, data, size) : -ENOMEM;
		if (r)
			return r;
	}
	memcpy(ret_path, path, n + 1);
	return 0;
}
