# SPDX-License-Identifier: Apache-2.0

PROTOS      := $(wildcard proto/*.proto)
PROTO_C     := $(patsubst proto/%.proto,$(BUILD)/gen/%.pb-c.c,$(PROTOS))
PROTO_H     := $(PROTO_C:.c=.h)
COMMON_SRC  := $(wildcard userspace/common/*.c)
SUPER_SRC   := $(filter-out %/main.c,$(wildcard userspace/supervisor/*.c))
PROXY_SRC   := $(filter-out %/main.c,$(wildcard userspace/proxy/*.c))
CLI_SRC     := $(wildcard userspace/cli/*.c)

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: proto/%.proto
	@mkdir -p $(BUILD)/gen
	protoc-c --proto_path=proto --c_out=$(BUILD)/gen $<

# Objects in two flavours: obj/ for the programs, san/ with sanitizers for the unit tests.
$(BUILD)/obj/%.o: %.c | $(PROTO_H) $(BPF_SKELS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -w -MMD -MP -c $< -o $@

$(BUILD)/san/%.o: %.c | $(PROTO_H) $(BPF_SKELS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/san/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -w -MMD -MP -c $< -o $@

objects = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2)) \
          $(patsubst $(BUILD)/gen/%.c,$(BUILD)/$(1)/gen/%.o,$(PROTO_C))

$(BUILD)/libopenshell.a: $(call objects,obj,$(COMMON_SRC) $(SUPER_SRC) $(PROXY_SRC))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libopenshell-san.a: $(call objects,san,$(COMMON_SRC) $(SUPER_SRC) $(PROXY_SRC))
	rm -f $@ && $(AR) rcs $@ $^

# Linked into the programs where the archive is there: a start is short, and loading and relocating
# shared libraries, libcrypto above all for its SHA-256, was a third of it. Not libelf, whose archive
# wants other libraries on other distributions.
ARCHIVE_DIR    := /usr/lib/$(shell $(CC) -print-multiarch)
archive         = $(or $(firstword $(wildcard $(1:%=$(ARCHIVE_DIR)/%.a))),$(2))
PROGRAM_LDLIBS := $(call archive,libbpf,-lbpf) -lelf -lz $(call archive,libprotobuf-c,-lprotobuf-c) \
                  $(call archive,libyaml,-lyaml) $(call archive,libjansson,-ljansson) \
                  $(call archive,libpcre2-8,-lpcre2-8) \
                  $(call archive,libcrypto,-lcrypto) -lcap -lseccomp \
                  $(call archive,libuv_a libuv,-luv) -lpthread -ldl

PROGRAMS := $(BUILD)/bin/openshell

$(BUILD)/bin/openshell: $(patsubst %.c,$(BUILD)/obj/%.o,$(CLI_SRC)) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PROGRAM_LDLIBS)

ifneq ($(wildcard userspace/supervisor/main.c),)
PROGRAMS += $(BUILD)/bin/openshell-supervisor
$(BUILD)/bin/openshell-supervisor: $(BUILD)/obj/userspace/supervisor/main.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PROGRAM_LDLIBS)
endif

# What parses what others sent; linked against as little as it needs.
PROXY_LDLIBS := $(call archive,libcares libcares_static,-lcares) $(call archive,libnghttp2,-lnghttp2) \
                $(call archive,libpcre2-8,-lpcre2-8) $(call archive,libssl,-lssl) \
                $(call archive,libcrypto,-lcrypto) $(call archive,libprotobuf-c,-lprotobuf-c) \
                $(call archive,libjansson,-ljansson) $(call archive,libz,-lz) -lpthread -ldl
ifneq ($(wildcard userspace/proxy/main.c),)
PROGRAMS += $(BUILD)/bin/openshell-proxy
$(BUILD)/bin/openshell-proxy: $(BUILD)/obj/userspace/proxy/main.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PROXY_LDLIBS)
endif

-include $(shell find $(BUILD)/obj $(BUILD)/san -name '*.d' 2>/dev/null)
