/* SPDX-License-Identifier: Apache-2.0 */
/* Names for sandboxes that got none: two lower-case words, as "brisk-heron". Any thread. */
#pragma once

#define SANDBOX_NAME_SIZE 32

void sandbox_name_make(char ret_name[SANDBOX_NAME_SIZE]);
