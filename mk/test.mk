# SPDX-License-Identifier: Apache-2.0
#
# Unit tests are built with gcc's sanitizers, fuzzers with clang's, programs for the VMs' guests
# plainly. tests/run finds and runs them all.

KERNELS      ?= 5.10,6.1,6.12,6.12-nolsm
VM_KERNELS   ?= 5.10,6.1,6.12,newest,6.12-nolsm
export FUZZ_SECONDS

UNIT_TESTS  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
GUEST_TESTS := $(patsubst tests/guest/%.c,$(BUILD)/tests/guest/%,$(wildcard tests/guest/*.c))
FUZZERS     := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

$(BUILD)/tests/unit/%: $(BUILD)/san/tests/unit/%.o $(BUILD)/libopenshell-san.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# Native tests in C print TAP like the scripts beside them.
NATIVE_TESTS := $(patsubst tests/native/%.c,$(BUILD)/tests/native/%,$(wildcard tests/native/*.c))

# The relay and the watch are the command line's, so they are in no library.
$(BUILD)/tests/native/relay: $(BUILD)/obj/userspace/cli/relay.o $(BUILD)/obj/userspace/cli/terminal.o
$(BUILD)/tests/native/file_watch: $(BUILD)/obj/userspace/cli/file_watch.o

$(BUILD)/tests/native/%: $(BUILD)/obj/tests/native/%.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# openshell-proxy with a hostile worker, and with a hostile resolver as well; the test has a names.c
# and a DNS server of its own. What replaces something in the library stands before it.
WORKER_ROLES := $(BUILD)/tests/native/worker_roles/hostile $(BUILD)/tests/native/worker_roles/liar
worker_role   = $(patsubst %,$(BUILD)/obj/tests/native/worker_roles/%.o,$(1))

$(BUILD)/tests/native/worker_roles/hostile: $(call worker_role,hostile)
$(BUILD)/tests/native/worker_roles/liar: $(call worker_role,hostile liar)
$(WORKER_ROLES): $(BUILD)/obj/userspace/proxy/main.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libopenshell.a $(PROXY_LDLIBS)

$(BUILD)/tests/native/worker $(BUILD)/tests/native/worker_inference: \
	$(BUILD)/tests/native/%: $(BUILD)/obj/tests/native/%.o \
	                         $(call worker_role,hostile names dns stage) \
	                         $(BUILD)/libopenshell.a | $(WORKER_ROLES)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS)

# The egress test is two programs: the driver, and the agent that it copies and runs.
EGRESS_TEST := $(BUILD)/tests/native/egress/driver $(BUILD)/tests/native/egress/act

$(BUILD)/tests/native/egress/driver: $(patsubst %,$(BUILD)/obj/tests/native/egress/%.o,\
                                       driver loaded names policy proxies redirect \
                                       runner world) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/native/egress/act: $(patsubst %,$(BUILD)/obj/tests/native/egress/%.o,\
                                    act act_loopback act_spoof)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lpthread

# For the names suite: a policy that changes under its agents.
NAMES_TEST := $(BUILD)/tests/names/switch

$(BUILD)/tests/names/%: $(BUILD)/obj/tests/names/%.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# gRPC's: a server and a client on our code, for clients and servers that are not ours. Built with
# the sanitizers: what they meet is hostile.
GRPC_TEST := $(BUILD)/tests/grpc/echo_server $(BUILD)/tests/grpc/caller

$(BUILD)/tests/grpc/%: $(BUILD)/san/tests/grpc/%.o $(BUILD)/libopenshell-san.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^ $(LDLIBS)

# What the proxy suite's servers and clients are made of, from npm.
PROXY_TEST := $(BUILD)/tests/proxy/node_modules/.installed

$(PROXY_TEST): tests/proxy/package.json
	@mkdir -p $(BUILD)/tests/proxy
	cp $< $(BUILD)/tests/proxy/package.json
	npm install --prefix $(BUILD)/tests/proxy --no-package-lock --no-audit --no-fund --silent
	touch $@

# The egress test's two for the guests.
GUEST_EGRESS := $(BUILD)/tests/guest/egress/driver $(BUILD)/tests/guest/egress/act

$(BUILD)/tests/guest/egress/%: $(BUILD)/tests/native/egress/%
	@mkdir -p $(@D)
	cp $< $@

# So is the identity test, with the proxy where its supervisor looks for it.
IDENTITY_TEST  := $(patsubst %,$(BUILD)/tests/native/identity/%,driver act openshell-proxy)
GUEST_IDENTITY := $(IDENTITY_TEST:$(BUILD)/tests/native/%=$(BUILD)/tests/guest/%)

$(BUILD)/tests/native/identity/driver: $(patsubst %,$(BUILD)/obj/tests/native/identity/%.o,\
                                         driver stage) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/native/identity/act: $(BUILD)/obj/tests/native/identity/act.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/tests/native/identity/openshell-proxy: $(BUILD)/bin/openshell-proxy
	@mkdir -p $(@D)
	cp $< $@

$(BUILD)/tests/guest/identity/%: $(BUILD)/tests/native/identity/%
	@mkdir -p $(@D)
	cp $< $@

# One file is one program; the guest has the libraries that it was linked with.
$(BUILD)/tests/guest/%: $(BUILD)/obj/tests/guest/%.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# A third flavour of the objects: the two compilers' sanitizers cannot be linked together, and
# libFuzzer needs its own instrumentation in the code under test.
FUZZFLAGS := -std=gnu11 -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
             -fno-sanitize-recover=undefined -fno-omit-frame-pointer -w

$(BUILD)/fuzz/%.o: %.c | $(PROTO_H) $(BPF_SKELS)
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libopenshell-fuzz.a: $(call objects,fuzz,$(COMMON_SRC) $(SUPER_SRC) $(PROXY_SRC) $(GATEWAY_SRC) $(IMAGE_SRC))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(BUILD)/libopenshell-fuzz.a
	@mkdir -p $(@D)
	$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)

-include $(shell find $(BUILD)/fuzz -name '*.d' 2>/dev/null)

.PHONY: unit native guest fuzzers tests
unit: $(UNIT_TESTS)
native: $(NATIVE_TESTS) $(EGRESS_TEST) $(IDENTITY_TEST) $(NAMES_TEST) $(PROXY_TEST) $(GRPC_TEST)
guest: $(GUEST_TESTS) $(GUEST_EGRESS) $(GUEST_IDENTITY) $(NAMES_TEST)
fuzzers: $(FUZZERS)
tests: all unit native guest fuzzers

# A make of its own after deps: what deps installs must exist before the rules are read.
check: deps
	@echo "Building programs and tests"
	@$(MAKE) -s --no-print-directory -j$$(nproc) tests
	@BUILD=$(BUILD) VM_SAMPLE=$(if $(T),,1) tests/run --kernels $(KERNELS) $(T)

vmcheck: deps
	@echo "Building programs and tests"
	@$(MAKE) -s --no-print-directory -j$$(nproc) all guest
	@BUILD=$(BUILD) tests/run --group vm --kernels $(VM_KERNELS) $(T)

fuzz: FUZZ_SECONDS ?= 60
fuzz: deps
	@$(MAKE) -s --no-print-directory -j$$(nproc) fuzzers
	@BUILD=$(BUILD) tests/run --group fuzz $(T)

# What a compiler does not say. Formatting is decided by clang-format alone.
lint: deps
	@tests/lint.sh
