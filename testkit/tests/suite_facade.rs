//! The behaviour suite.

testkit::suite!(testkit::suite::FacadeHost);
