# SPDX-License-Identifier: Apache-2.0
#
# The enforcement suite: `act` does acts, the others watch what becomes of them. In the directory
# whose programs the VMs carry, because there they run with BPF-LSM.

ENFORCE := $(patsubst %,$(BUILD)/tests/guest/%,act enforce swap)

# What both drivers stand on; they talk to unix sockets with the same few functions as the acts.
ENFORCE_STAGE := $(patsubst %,$(BUILD)/obj/tests/enforce/%.o,stage arena suite rows_file act_tools)

$(BUILD)/tests/guest/act: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/enforce/act*.c))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/tests/guest/enforce: $(patsubst %,$(BUILD)/obj/tests/enforce/%.o,enforce special rows \
                                rows_system) $(ENFORCE_STAGE) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/guest/swap: $(BUILD)/obj/tests/enforce/swap.o $(ENFORCE_STAGE) \
                           $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: guest
guest: $(ENFORCE)
