# SPDX-License-Identifier: Apache-2.0
#
# make run      install what is missing, build, and show a sandbox at work
# make check    install what is missing, build, run every test (T=name runs one)
# Others: deps all lint bench fuzz vmcheck install clean

BUILD   ?= build
DESTDIR ?=
PREFIX  ?= /usr
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)

VERSION := 0.1.0

CPPFLAGS := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DOPENSHELL_VERSION='"$(VERSION)"' \
            -Iuserspace -Ibpf/include -I$(BUILD)/gen
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes -Wshadow \
            -Wvla -Wformat=2 -Werror=implicit-function-declaration -fstack-protector-strong -fPIE
LDFLAGS  += -pie -Wl,-z,relro,-z,now
LDLIBS   := -lbpf -lelf -lz -lprotobuf-c -lyaml -ljansson -lnghttp2 -lpcre2-8 -lssl -lcrypto -lcap -lseccomp -luv -lcares \
            -lsqlite3 -lmicrohttpd -larchive -lpthread
SANFLAGS := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -D__bpf__ -Wall -Werror \
              -Ibpf/include -Ivmlinux -I/usr/include/$(shell $(CC) -print-multiarch)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
# Generated headers are inputs of many rules: kept, not made again at each run.
.SECONDARY:

include mk/bpf.mk
include mk/userspace.mk
include mk/test.mk
include mk/bench.mk
include mk/enforce.mk
include mk/bypass.mk

.PHONY: all deps run check lint bench fuzz vmcheck install clean

# deps runs first, in a make of its own: header search paths must exist before rules are read.
deps:
	@mk/deps.sh

all: $(PROGRAMS)

run: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/tour.sh $(BUILD)/bin

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/openshell/policy/providers
	install -m 0755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 0644 $(wildcard policy/*.yaml policy/*.json) $(DESTDIR)$(PREFIX)/share/openshell/policy
	install -m 0644 $(wildcard policy/providers/*.yaml) $(DESTDIR)$(PREFIX)/share/openshell/policy/providers
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in packaging/*.service; do \
		sed 's,/usr/bin/,$(PREFIX)/bin/,' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}; done

clean:
	rm -rf $(BUILD)
