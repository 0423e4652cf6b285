# SPDX-License-Identifier: Apache-2.0
#
# The enforcement suite: `act` does acts, the others watch what becomes of them. In the directory
# whose programs the VMs carry, because there they run with BPF-LSM.

ENFORCE := $(BUILD)/tests/guest/act $(BUILD)/tests/guest/enforce

ENFORCE_ACT   := $(wildcard tests/enforce/act*.c)
ENFORCE_STAGE := tests/enforce/arena.c tests/enforce/stage.c $(wildcard tests/enforce/rows*.c)

$(BUILD)/tests/guest/act: $(patsubst %.c,$(BUILD)/obj/%.o,$(ENFORCE_ACT))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

# The driver talks to unix sockets and passes descriptors with the same few functions.
$(BUILD)/tests/guest/enforce: $(patsubst %.c,$(BUILD)/obj/%.o,tests/enforce/enforce.c \
                               tests/enforce/act_tools.c $(ENFORCE_STAGE)) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: guest
guest: $(ENFORCE)
