# SPDX-License-Identifier: Apache-2.0
#
# Two kernel objects: `lsm` (every bpf/lsm_*.bpf.c) loads only where BPF-LSM works, `core` (all
# others) loads everywhere. Each is linked from its files and embedded as a skeleton.

BPF_HEADERS := $(wildcard bpf/include/*.h vmlinux/*.h)
BPF_LSM     := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.o,$(wildcard bpf/lsm_*.bpf.c))
BPF_CORE    := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.o,\
                 $(filter-out $(wildcard bpf/lsm_*.bpf.c),$(wildcard bpf/*.bpf.c)))
BPF_SKELS   := $(BUILD)/gen/core.skel.h $(BUILD)/gen/lsm.skel.h

$(BPF_CORE): BPF_CFLAGS += -DOS_OBJECT_CORE

$(BUILD)/bpf/%.o: bpf/%.bpf.c $(BPF_HEADERS)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bpf/core.linked.o: $(BPF_CORE)
	$(BPFTOOL) gen object $@ $^

$(BUILD)/bpf/lsm.linked.o: $(BPF_LSM)
	$(BPFTOOL) gen object $@ $^

$(BUILD)/gen/%.skel.h: $(BUILD)/bpf/%.linked.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@
