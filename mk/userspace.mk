# SPDX-License-Identifier: Apache-2.0

PROTOS      := $(wildcard proto/*.proto)
PROTO_PLAIN := $(patsubst proto/%,$(BUILD)/gen/proto/%,$(PROTOS))
# What our files import of the protocol compiler's own.
PROTO_KNOWN := $(BUILD)/gen/google/protobuf/descriptor.pb-c.c $(BUILD)/gen/google/protobuf/struct.pb-c.c
PROTO_C     := $(patsubst proto/%.proto,$(BUILD)/gen/%.pb-c.c,$(PROTOS)) $(PROTO_KNOWN) \
               $(BUILD)/gen/rpc_table.c
PROTO_H     := $(PROTO_C:.c=.h)
COMMON_SRC  := $(wildcard userspace/common/*.c)
SUPER_SRC   := $(filter-out %/main.c,$(wildcard userspace/supervisor/*.c))
PROXY_SRC   := $(filter-out %/main.c,$(wildcard userspace/proxy/*.c))
IMAGE_SRC   := $(filter-out %/main.c,$(wildcard userspace/image/*.c))
GATEWAY_SRC := $(filter-out %/main.c,$(wildcard userspace/gateway/*.c))
CLI_SRC     := $(wildcard userspace/cli/*.c)

# protoc-c does not know `optional` in proto3; a oneof of one field is the same on the wire.
$(BUILD)/gen/proto/%.proto: proto/%.proto
	@mkdir -p $(@D)
	sed -E 's/^( *)optional (.* )([a-z_0-9]+)( = .*;)/\1oneof optional_\3 { \2\3\4 }/' $< > $@

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: $(BUILD)/gen/proto/%.proto | $(PROTO_PLAIN)
	@mkdir -p $(BUILD)/gen
	protoc-c --proto_path=$(BUILD)/gen/proto --c_out=$(BUILD)/gen $<

$(PROTO_KNOWN) $(PROTO_KNOWN:.c=.h) &:
	@mkdir -p $(BUILD)/gen
	protoc-c --proto_path=/usr/include --c_out=$(BUILD)/gen google/protobuf/descriptor.proto google/protobuf/struct.proto

$(BUILD)/gen/descriptors.pb: $(PROTOS)
	@mkdir -p $(@D)
	protoc --proto_path=proto --include_imports --descriptor_set_out=$@ $^

# Who may call what, and what is secret, as the proto files say.
$(BUILD)/gen/rpc_table.c $(BUILD)/gen/rpc_table.h &: $(BUILD)/gen/descriptors.pb mk/rpc_table.py
	mk/rpc_table.py $< $(BUILD)/gen/rpc_table.c $(BUILD)/gen/rpc_table.h

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

$(BUILD)/libopenshell.a: $(call objects,obj,$(COMMON_SRC) $(SUPER_SRC) $(PROXY_SRC) $(GATEWAY_SRC) $(IMAGE_SRC))
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libopenshell-san.a: $(call objects,san,$(COMMON_SRC) $(SUPER_SRC) $(PROXY_SRC) $(GATEWAY_SRC) $(IMAGE_SRC))
	rm -f $@ && $(AR) rcs $@ $^

# Linked into the programs where the archive is there: a start is short, and loading and relocating
# shared libraries, libcrypto above all for its SHA-256, was a third of it. Not libelf, whose archive
# wants other libraries on other distributions.
ARCHIVE_DIR    := /usr/lib/$(shell $(CC) -print-multiarch)
archive         = $(or $(firstword $(wildcard $(1:%=$(ARCHIVE_DIR)/%.a))),$(2))
PROGRAM_LDLIBS := $(call archive,libbpf,-lbpf) -lelf -lz $(call archive,libprotobuf-c,-lprotobuf-c) \
                  $(call archive,libyaml,-lyaml) $(call archive,libjansson,-ljansson) \
                  $(call archive,libpcre2-8,-lpcre2-8) \
                  $(call archive,libnghttp2,-lnghttp2) $(call archive,libssl,-lssl) \
                  $(call archive,libcrypto,-lcrypto) -lcap -lseccomp \
                  $(call archive,libuv_a libuv,-luv) -lpthread -ldl

PROGRAMS := $(BUILD)/bin/openshell

$(BUILD)/bin/openshell: $(patsubst %.c,$(BUILD)/obj/%.o,$(CLI_SRC)) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PROGRAM_LDLIBS) -larchive

ifneq ($(wildcard userspace/supervisor/main.c),)
PROGRAMS += $(BUILD)/bin/openshell-supervisor
$(BUILD)/bin/openshell-supervisor: $(BUILD)/obj/userspace/supervisor/main.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PROGRAM_LDLIBS) -larchive
endif

ifneq ($(wildcard userspace/gateway/main.c),)
PROGRAMS += $(BUILD)/bin/openshell-gateway
$(BUILD)/bin/openshell-gateway: $(BUILD)/obj/userspace/gateway/main.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lsqlite3 -lmicrohttpd $(PROGRAM_LDLIBS)
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

# What reads images that others made, in a process of its own.
PROGRAMS += $(BUILD)/bin/openshell-image
$(BUILD)/bin/openshell-image: $(BUILD)/obj/userspace/image/main.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -larchive -ljansson -lcrypto -lcap

-include $(shell find $(BUILD)/obj $(BUILD)/san -name '*.d' 2>/dev/null)
