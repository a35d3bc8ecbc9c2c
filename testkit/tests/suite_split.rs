//! The behaviour suite.

testkit::suite!(testkit::suite::SplitHost);
