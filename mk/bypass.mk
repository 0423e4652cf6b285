# SPDX-License-Identifier: Apache-2.0
#
# The bypass suite: `act` is the agent, `bypass` watches what becomes of its acts. In a directory of
# what the VMs carry, because there they run by other kernels.

BYPASS_DIR := $(BUILD)/tests/guest/bypass
BYPASS     := $(patsubst %,$(BYPASS_DIR)/%,act bypass hostile preload.so)

# The egress test's way to spoof an executable is its own file.
$(BYPASS_DIR)/act: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/bypass/act*.c) \
                     tests/native/egress/act_spoof.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

$(BYPASS_DIR)/bypass: $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/preload.c %/hostile.c \
                        $(wildcard tests/bypass/act*.c),$(wildcard tests/bypass/*.c))) \
                        $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Its worker_main() is linked before the archive's is looked for.
$(BYPASS_DIR)/hostile: $(BUILD)/obj/tests/bypass/hostile.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BYPASS_DIR)/preload.so: tests/bypass/preload.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

guest: $(BYPASS)
