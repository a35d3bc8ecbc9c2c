//! The behaviour suite.

testkit::suite!(testkit::suite::MemoryHost);
testkit::adapter_suite!(testkit::suite::MemoryHost);
