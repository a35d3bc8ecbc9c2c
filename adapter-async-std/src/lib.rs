//! A SIP transport (RFC 3261 §18) on async-std.
