"""The index of a capture: append-only columns, payload texts by place, notes. Knows no filter and no screen."""
