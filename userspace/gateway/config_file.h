/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's configuration file: one YAML mapping of names to scalars. Fails closed: anything
 * else, a key given twice included, is an error with its place.
 */
#pragma once

#include "common/error.h"

#include <stddef.h>

#define CONFIG_FILE_MAX 65536 /* bytes */

/* Not 0 ends the reading; its sentence gets the place. */
typedef int (*config_file_entry)(void *arg, const char *key, const char *value, struct error *err);

int config_file_read(const char *path, config_file_entry entry, void *arg, struct error *err);

/* As it, for bytes that messages call @name. No I/O. */
int config_file_parse(const char *name, const void *data, size_t size, config_file_entry entry,
		      void *arg, struct error *err);
