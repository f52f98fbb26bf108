"""The line formats in which charging software logs messages: a table of them, and how lines are read by one."""
