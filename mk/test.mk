# SPDX-License-Identifier: Apache-2.0

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))

$(BUILD)/tests/unit/%: $(BUILD)/san/tests/unit/%.o $(BUILD)/libopenshell-san.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

.PHONY: unit
unit: $(UNIT_TESTS)
