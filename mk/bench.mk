# SPDX-License-Identifier: Apache-2.0
#
# make bench [T=part]: figures, as ratios; see docs/benchmarks.md.

BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,\
             $(filter-out %/nothing.c,$(wildcard tests/bench/*.c)))

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# No C library: what is measured is the kernel's part of execve().
$(BUILD)/tests/bench/nothing: tests/bench/nothing.c
	@mkdir -p $(@D)
	$(CC) -Os -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie -o $@ $<

.PHONY: benches
benches: $(BENCHES) $(BUILD)/tests/bench/nothing

bench: deps
	@echo "Building programs and benchmarks"
	@$(MAKE) -s --no-print-directory -j$$(nproc) all benches
	@BUILD=$(BUILD) tests/bench/run $(T)
