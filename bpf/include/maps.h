/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, defined once. Weak, so that several files of an object may include this and the
 * linker keeps one; both kernel objects share the maps by name (the loader hands the second object
 * the first one's). Sizes given here are the defaults; userspace sets them before load.
 */
#pragma once

#include "abi.h"
#include "asked.h"
#include <bpf/bpf_helpers.h>

#define OS_MAP __attribute__((weak)) SEC(".maps")

/* cgroup id -> slot */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} os_sandbox OS_MAP;

/* slot -> generation and mode in force; mapped by userspace, so that a switch is one store */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct os_policy);
} os_policy OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct os_anchor_key);
	__type(value, struct os_anchor);
} os_anchor OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct os_named_key);
	__type(value, struct os_anchor);
} os_named OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct os_binary_key);
	__type(value, struct os_binary);
} os_binary OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct os_endpoint_key);
	__type(value, struct os_endpoint);
} os_endpoint OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct os_cidr_key);
	__type(value, struct os_endpoint);
} os_cidr OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct os_name_key);
	__type(value, struct os_name);
} os_name OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct os_worker);
} os_worker OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct os_flow_key);
	__type(value, struct os_flow);
} os_flow OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct os_flow_key);
	__type(value, struct os_flow);
} os_proxied OS_MAP;

/* slot -> its proxy's listening socket; one that is closed is gone from here by itself */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} os_listener OS_MAP;

/* tgid -> identity recorded at exec */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct os_proc);
} os_proc OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE); /* accepted sockets are the sandbox's */
	__type(key, int);
	__type(value, struct os_sock);
} os_sock OS_MAP;

/* only for sockets that send to several places; the programs' own */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct os_asked);
} os_asked OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct os_device_key);
	__type(value, __u32); /* BPF_DEVCG_ACC_* allowed */
} os_device OS_MAP;

/*
 * slot -> that sandbox's ring buffer. One each, so that a noisy agent can only drown its own
 * events, and each owner reads only its own.
 */
struct os_ring_inner {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__array(values, struct os_ring_inner);
} os_event OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OS_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} os_count OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct os_meta);
} os_meta OS_MAP;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OS_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct os_digest);
} os_digest OS_MAP;
