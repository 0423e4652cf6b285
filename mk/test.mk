# SPDX-License-Identifier: Apache-2.0

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))

$(BUILD)/tests/unit/%: $(BUILD)/san/tests/unit/%.o $(BUILD)/libopenshell-san.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

# Native tests in C print TAP like the scripts beside them.
NATIVE_TESTS := $(patsubst tests/native/%.c,$(BUILD)/tests/native/%,$(wildcard tests/native/*.c))

$(BUILD)/tests/native/%: $(BUILD)/obj/tests/native/%.o $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: unit
unit: $(UNIT_TESTS)

# The egress test is two programs: the driver, and the agent that it copies and runs.
EGRESS_TEST := $(BUILD)/tests/native/egress/driver $(BUILD)/tests/native/egress/act

$(BUILD)/tests/native/egress/driver: $(patsubst %,$(BUILD)/obj/tests/native/egress/%.o,\
                                       driver loaded policy world) $(BUILD)/libopenshell.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/native/egress/act: $(patsubst %,$(BUILD)/obj/tests/native/egress/%.o,\
                                    act act_loopback act_spoof)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lpthread
